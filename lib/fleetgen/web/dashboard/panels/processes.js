// The supervised processes.
import { Value } from "fleetgen-page";

export default {
  components: { Value },
  template: `
    <section class="panel" aria-labelledby="processes-title">
      <h2 id="processes-title">Processes</h2>
      <div class="scroll" tabindex="0" role="group" aria-label="Table of processes">
        <table>
          <thead><tr><th>process</th><th>state</th><th class="figure">pid</th><th class="figure">restarts</th><th>since</th></tr></thead>
          <tbody>
            <tr v-for="each in processes" :key="each.name">
              <th scope="row">{{ each.name }}</th>
              <td :class="each.good ? 'ok' : 'bad'">{{ each.state }}</td>
              <td class="figure">{{ each.pid ?? "–" }}</td>
              <td class="figure"><value kind="number" :value="each.restarts"></value></td>
              <td><value kind="age" :value="each.since"></value></td>
            </tr>
            <tr v-if="!processes.length"><td colspan="5" class="empty">No process is supervised here.</td></tr>
          </tbody>
        </table>
      </div>
    </section>`,
  props: { processes: Array },
};
