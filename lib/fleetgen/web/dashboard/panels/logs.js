// The log, newest first, read from the API as everybody reads it. Rows out of sight are not laid out.
const { shown } = window.fleetgen;

const PAGE = 200;
const MOST = 10000;
const LEVELS = ["debug", "info", "warning", "error", "critical"];

export default {
  template: `
    <section class="panel" aria-labelledby="logs-title">
      <h2 id="logs-title">Logs</h2>
      <div class="log-tools">
        <label>Level <select v-model="least" class="choice" @change="restart">
          <option v-for="level in levels" :key="level" :value="level">{{ level }} and worse</option></select></label>
        <label><input type="checkbox" v-model="following"> Follow</label>
        <span class="hint" role="status">{{ problem || lines.length.toLocaleString() + (lines.length === 1 ? " line" : " lines") }}</span>
      </div>
      <ol class="log-lines" ref="list" tabindex="0" aria-label="Log lines, newest first">
        <li v-for="line in lines" :key="line.key" :class="line.level">
          <time :datetime="line.timestamp" :title="line.timestamp">{{ line.time }}</time>
          <b>{{ line.level }}</b> <i>{{ line.logger }}</i> <span>{{ line.message }}</span>
        </li>
        <li v-if="!lines.length && !problem" class="empty">Nothing was logged at this level yet.</li>
      </ol>
      <button v-if="older" type="button" class="button quiet" @click="more">Older lines</button>
    </section>`,
  data: () => ({ lines: [], least: "info", following: true, since: null, older: null, problem: "", levels: LEVELS }),
  created() {
    this.count = 0;
    this.run = 0;
  },
  mounted() {
    this.restart();
    this.timer = setInterval(() => this.following && !document.hidden && this.newer(), 1000);
  },
  unmounted() {
    clearInterval(this.timer);
  },
  methods: {
    async page(bounds) {
      const asked = new URLSearchParams({ limit: PAGE, ...bounds });
      LEVELS.slice(LEVELS.indexOf(this.least)).forEach((level) => asked.append("level", level));
      try {
        const answer = await fetch(`/api/logs?${asked}`);
        const told = await answer.json();
        this.problem = answer.ok ? "" : told.detail;
        return answer.ok ? told : null;
      } catch {
        this.problem = "The log cannot be read at the moment.";
        return null;
      }
    },
    rows(entries) {
      return entries.map((entry) => ({ ...entry, extra: undefined, key: this.count++, time: shown("time", Date.parse(entry.timestamp)) }));
    },
    async restart() {
      const run = ++this.run;
      const told = await this.page({});
      if (!told || run !== this.run) return;
      this.lines = this.rows(told.entries);
      [this.since, this.older] = [told.nextSince, told.nextBefore];
    },
    async newer() {
      if (this.busy) return;
      this.busy = true;
      try {
        if (!this.since) return await this.restart();
        const run = this.run;
        const told = await this.page({ since: this.since });
        if (!told || run !== this.run) return;
        if (told.nextBefore) return await this.restart(); // more has come than one page holds
        this.since = told.nextSince;
        if (!told.entries.length) return;
        const list = this.$refs.list;
        const place = list.scrollTop && list.scrollHeight - list.scrollTop;
        this.lines = [...this.rows(told.entries), ...this.lines].slice(0, MOST);
        await this.$nextTick();
        if (place) list.scrollTop = list.scrollHeight - place; // who reads further down stays where they are
      } finally {
        this.busy = false;
      }
    },
    async more() {
      const run = this.run;
      const told = await this.page({ before: this.older });
      if (!told || run !== this.run) return;
      this.lines = [...this.lines, ...this.rows(told.entries)].slice(0, MOST);
      this.older = this.lines.length < MOST ? told.nextBefore : null;
    },
  },
};
