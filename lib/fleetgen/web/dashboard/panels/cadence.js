// Three charts for each stream.
import { Bars, Value } from "fleetgen-page";

export default {
  components: { Bars, Value },
  template: `
    <div class="cards">
      <section v-for="stream in streams" :key="stream.name" :id="stream.name" class="panel" :aria-labelledby="stream.name + '-title'">
        <h2 :id="stream.name + '-title'">{{ stream.title }}</h2>
        <div v-for="chart in stream.charts" :key="chart.title" class="chart">
          <p class="chart-title"><b>{{ chart.title }}</b> <span class="label">{{ chart.what }}</span> <value :kind="chart.kind" :value="chart.value"></value></p>
          <bars :label="chart.title" :points="chart.points" :lines="chart.lines" :scale="chart.scale" :low="chart.low" :high="chart.high"></bars>
        </div>
      </section>
    </div>`,
  props: { streams: Array },
};
