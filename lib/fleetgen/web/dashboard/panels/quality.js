// How dirty the data is, over time and in all.
import { Bars, Value } from "fleetgen-page";

export default {
  components: { Bars, Value },
  template: `
    <section class="panel" aria-labelledby="quality-title">
      <h2 id="quality-title">Quality</h2>
      <p v-if="!dirty" class="empty">Nothing is injected: set enabled = true in [quality], or choose the preset quality-demo.</p>
      <div v-else class="quality">
        <div>
          <div v-for="chart in charts" :key="chart.title" class="chart">
            <p class="chart-title"><b>{{ chart.title }}</b> <span class="label">of those shown</span> <value kind="percent" :value="chart.value"></value></p>
            <bars :label="chart.title" :points="chart.points" :lines="chart.lines" :high="0.05"></bars>
          </div>
        </div>
        <div class="scroll" tabindex="0" role="group" aria-label="Table of issues">
          <table>
            <thead><tr><th>issue</th><th class="figure">injected</th><th class="figure">rejected by its rule</th><th class="figure">recall</th></tr></thead>
            <tbody>
              <tr v-for="issue in issues" :key="issue.name">
                <th scope="row"><i class="key" :class="issue.kind" aria-hidden="true"></i>{{ issue.name }}</th>
                <td class="figure"><value kind="number" :value="issue.injected"></value></td>
                <td class="figure"><value kind="number" :value="issue.rejected"></value></td>
                <td class="figure"><value kind="percent" :value="issue.recall"></value></td>
              </tr>
            </tbody>
          </table>
          <p v-if="score" class="score">
            <b>score of the pipeline</b> <span class="label">over its newest {{ score.batches }} batches:</span>
            recall <value kind="percent" :value="score.overall_recall"></value>,
            precision <value kind="percent" :value="score.precision"></value> <span class="label">({{ score.misses }} missed, {{ score.false_alarms }} false alarms, {{ score.collateral }} collateral)</span>
          </p>
        </div>
      </div>
    </section>`,
  props: { dirty: Boolean, charts: Array, issues: Array, score: Object },
};
