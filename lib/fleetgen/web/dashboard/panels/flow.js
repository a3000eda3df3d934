// Bronze, silver and gold as a picture.
import { Value } from "fleetgen-page";

export default {
  components: { Value },
  template: `
    <section class="panel" aria-labelledby="flow-title">
      <h2 id="flow-title">Flow</h2>
      <div class="flow">
        <div class="stage bronze">
          <header><h3>Bronze</h3><span class="label">published</span></header>
          <p v-for="(count, stream) in published" :key="stream" class="count"><span class="label">{{ stream }}</span>
            <value kind="number" :value="count" class="large"></value></p>
          <p class="count"><span class="label">batches</span><value kind="number" :value="batches" class="large"></value></p>
        </div>
        <div class="arrow"><span class="visually-hidden">bronze to silver</span><value kind="seconds" :value="latencies?.bronze_to_silver"></value><i aria-hidden="true"></i></div>
        <div class="stage silver">
          <header><h3>Silver</h3><span class="label">judged line by line</span></header>
          <p v-for="(outcome, label) in labels" :key="outcome" class="count"><span class="label">{{ label }}</span>
            <value kind="number" :value="outcomes && (outcomes[outcome] || 0)" class="large"></value></p>
        </div>
        <div class="arrow"><span class="visually-hidden">silver to gold</span><value kind="seconds" :value="latencies?.silver_to_gold"></value><i aria-hidden="true"></i></div>
        <div class="stage gold">
          <header><h3>Gold</h3><span class="label">every line counted</span></header>
          <p class="count"><span class="label">lines counted</span><value kind="number" :value="counted" class="large"></value></p>
          <p class="count"><span class="label">end to end</span><value kind="seconds" :value="latencies?.end_to_end" class="large"></value></p>
        </div>
      </div>
      <div class="consumers">
        <p v-if="!consumers.length" class="empty">No pipeline is connected: bronze is published, and nobody carries it on.</p>
        <p v-for="each in consumers" :key="each.name" class="consumer" :class="{behind: each.behind > 0}">
          <b>{{ each.name }}</b> <value kind="number" :value="each.behind"></value> {{ each.behind === 1 ? "batch" : "batches" }} behind</p>
      </div>
    </section>`,
  props: { published: Object, batches: Number, outcomes: Object, latencies: Object, consumers: Array },
  data: () => ({ labels: { accepted: "accepted", quarantined: "quarantined", duplicates: "duplicate" } }),
  computed: {
    counted() {
      return this.outcomes && Object.values(this.outcomes).reduce((sum, count) => sum + count, 0);
    },
  },
};
