// The newest batches of a stream as buttons; a click opens one, read from the API.
const { shown } = window.fleetgen;

export default {
  template: `
    <section class="panel" aria-labelledby="batches-title">
      <h2 id="batches-title">Newest batches</h2>
      <template v-for="strip in strips" :key="strip.stream">
        <h3>{{ strip.stream }}</h3>
        <p v-if="!strip.batches.length" class="empty">No batch yet.</p>
        <ol v-else class="strip" :aria-label="'Newest batches of ' + strip.stream" @keydown="move">
          <li v-for="empty in Math.max(0, columns - strip.batches.length)" :key="'empty ' + empty" aria-hidden="true"></li>
          <li v-for="(batch, place) in strip.batches" :key="batch.key">
            <span v-if="batch.gap" class="strip-gap" :title="batch.title" role="img" :aria-label="batch.title"></span>
            <button v-else type="button" class="strip-batch" :class="{dirty: batch.corrupted > 0}" :title="batch.title"
                    :aria-label="batch.title" :tabindex="place === strip.batches.length - 1 ? 0 : -1" @click="open(strip.stream, batch.id)"
                    :style="{'--share': batch.records ? batch.corrupted / batch.records : 0}"><span>{{ batch.records }}</span></button>
          </li>
        </ol>
      </template>
      <dialog ref="dialog" class="detail" :aria-label="'Batch ' + id" @close="detail = null; id = ''" @click.self="$refs.dialog.close()">
        <div class="detail-body">
          <header>
            <h3>{{ stream }} <code>{{ id }}</code></h3>
            <button type="button" class="button quiet" @click="$refs.dialog.close()">Close</button>
          </header>
          <p v-if="problem" class="problem" role="alert">{{ problem }}</p>
          <p v-else-if="!detail">Reading …</p>
          <template v-else>
            <dl>
              <template v-for="[name, value] in facts" :key="name"><dt>{{ name }}</dt><dd>{{ value }}</dd></template>
            </dl>
            <h4>First lines</h4>
            <pre tabindex="0">{{ detail.lines.join("\\n") || "No line: the batch is empty." }}</pre>
            <h4>{{ issuesTitle }}</h4>
            <div v-if="rows.length" class="scroll" tabindex="0" role="group" aria-label="Issues and what the pipeline did">
              <table>
                <thead><tr><th class="figure">line</th><th>injected</th><th>field</th><th>original</th><th>as published</th><th>pipeline</th></tr></thead>
                <tbody>
                  <tr v-for="row in rows" :key="row.line">
                    <td class="figure">{{ row.line }}</td><td>{{ row.type }}</td><td>{{ row.field }}</td>
                    <td><code>{{ row.original }}</code></td><td><code>{{ row.injected }}</code></td>
                    <td :class="row.ok ? 'ok' : 'bad'">{{ row.pipeline }}</td>
                  </tr>
                </tbody>
              </table>
            </div>
          </template>
        </div>
      </dialog>
    </section>`,
  props: { strips: Array, columns: Number },
  data: () => ({ stream: "", id: "", detail: null, problem: "" }),
  computed: {
    facts() {
      const meta = this.detail.meta;
      const time = (text) => shown("time", Date.parse(text));
      return [
        ["interval", `${time(meta.interval_start)} to ${time(meta.interval_end)}`],
        ["published", `${time(meta.generation_time)}, made in ${shown("seconds", meta.duration_seconds)}`],
        ["batch", `number ${meta.batch_number}, segment ${meta.segment}, ${meta.generation_mode} mode`],
        ["records", `${shown("number", meta.record_count)}: ${shown("number", meta.valid_count)} valid, ${shown("number", meta.corrupted_count)} with an issue`],
        ["size", `${shown("number", meta.bytes)} bytes in ${meta.parts.length} ${meta.parts.length === 1 ? "file" : "files"}`],
        ["SHA-256", meta.sha256],
      ];
    },
    rows() {
      const { issues, rejected } = this.detail;
      const found = rejected || {};
      const rows = issues.map((issue) => ({
        line: issue.line,
        type: issue.issue_type,
        field: issue.field || "whole record",
        original: JSON.stringify(issue.original),
        injected: JSON.stringify(issue.injected),
        pipeline: rejected === null ? "not known yet" : found[issue.line] ? `rejected: ${found[issue.line]}` : "accepted",
        ok: rejected === null || Boolean(found[issue.line]),
      }));
      const known = new Set(issues.map((issue) => String(issue.line)));
      for (const [line, rule] of Object.entries(found))
        if (!known.has(line)) rows.push({ line: Number(line), type: "none", field: "", original: "", injected: "", pipeline: `rejected: ${rule}`, ok: false });
      return rows.sort((one, other) => one.line - other.line);
    },
    issuesTitle() {
      const all = this.detail.meta.corrupted_count;
      if (!all && !this.rows.length) return "No issue was injected, and the pipeline rejected no line";
      return this.detail.issues.length < all ? `Injected issues: the first ${this.detail.issues.length} of ${shown("number", all)}` : "Injected issues";
    },
  },
  beforeUpdate() {
    this.held = this.$el.contains(document.activeElement) && document.activeElement.closest(".strip");
  },
  updated() {
    // The batch that had the focus has moved out of the strip: the oldest one that is left takes it.
    if (this.held && !this.$el.contains(document.activeElement)) this.held.querySelector(".strip-batch")?.focus();
  },
  methods: {
    move(event) {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 }[event.key];
      if (!step) return;
      const buttons = [...event.currentTarget.querySelectorAll(".strip-batch")];
      const place = buttons.indexOf(document.activeElement) + step;
      buttons[Math.max(0, Math.min(buttons.length - 1, place))]?.focus();
      event.preventDefault();
    },
    async open(stream, id) {
      [this.stream, this.id] = [stream, id];
      this.detail = null;
      this.problem = "";
      this.$refs.dialog.showModal();
      try {
        const answer = await fetch(`/api/batches/${stream}/${id}`);
        const told = await answer.json();
        if (this.id !== id) return;
        if (answer.ok) this.detail = told;
        else this.problem = told.detail;
      } catch {
        this.problem = "The control process does not answer. Close this and try again.";
      }
    },
  },
};
