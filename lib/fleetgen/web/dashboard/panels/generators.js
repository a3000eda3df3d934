// A card for each generator.
import { Value } from "fleetgen-page";

export default {
  components: { Value },
  template: `
    <div class="cards">
      <section v-for="each in generators" :key="each.name" :id="each.name" class="panel" :aria-labelledby="each.name + '-title'">
        <h2 :id="each.name + '-title'">{{ each.title }}</h2>
        <dl class="figures">
          <div><dt>batches</dt><value kind="number" :value="each.batches" tag="dd" class="large"></value></div>
          <div><dt>records</dt><value kind="number" :value="each.records" tag="dd" class="large"></value></div>
          <div><dt>records a minute</dt><value kind="decimal" :value="each.rate" tag="dd" class="large"></value></div>
        </dl>
        <dl class="lines">
          <div><dt>last batch</dt><dd>{{ each.last || "none yet" }}</dd></div>
          <div><dt>published</dt><value kind="age" :value="each.published" tag="dd"></value></div>
          <div><dt>next batch</dt><value kind="until" :value="each.next" tag="dd"></value></div>
        </dl>
      </section>
    </div>`,
  props: { generators: Array },
};
