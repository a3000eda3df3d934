// A bar for each interval, newest at the right. Drawn as SVG, so that its colours are the page's.
// points: {values: [numbers, stacked], kinds: [class of each], gap: reason or null, title}
// lines: {value, label}; scale "log" shows values from `low` on; `high` is the least upper end.
const HEIGHT = 96;
const COLUMN = 7;

export default {
  template: `
    <figure class="bars">
      <svg role="img" :aria-label="summary" :viewBox="'0 0 ' + width + ' ' + height" preserveAspectRatio="none">
        <g v-for="(point, place) in shownPoints" :key="place">
          <title>{{ point.title }}</title>
          <rect :x="place * column" y="0" :width="column" :height="height" class="bars-back"></rect>
          <rect v-if="point.gap" :x="place * column + 1" y="0" :width="column - 2" :height="height" class="bars-gap"></rect>
          <rect v-for="(bar, part) in stacked(point)" :key="part" :x="place * column + 1" :y="bar.y"
                :width="column - 2" :height="bar.height" :class="bar.kind"></rect>
        </g>
        <line v-for="line in lines" :key="line.label" x1="0" :x2="width" :y1="y(line.value)" :y2="y(line.value)"
              class="bars-line" vector-effect="non-scaling-stroke"></line>
      </svg>
      <span v-for="line in lines" :key="line.label" class="bars-label" :class="{below: y(line.value) < height / 4}" :style="{top: 100 * y(line.value) / height + '%'}">{{ line.label }}</span>
    </figure>`,
  props: { label: String, points: Array, lines: Array, scale: String, low: Number, high: Number, columns: { default: 60 } },
  computed: {
    height: () => HEIGHT,
    column: () => COLUMN,
    width() {
      return this.columns * COLUMN;
    },
    shownPoints() {
      const newest = this.points.slice(-this.columns);
      return [...Array(this.columns - newest.length).fill({ values: [], kinds: [], title: "" }), ...newest];
    },
    top() {
      const all = [...this.lines.map((line) => line.value), ...this.points.map((point) => point.values.reduce((a, b) => a + b, 0))];
      return Math.max(this.high || 0, ...all) * 1.1 || 1;
    },
    summary() {
      const gaps = this.points.filter((point) => point.gap).length;
      const limits = this.lines.map((line) => line.label).join(", ");
      return `${this.label}: the newest ${this.points.length} intervals, ${gaps} of them gaps. ${limits}`;
    },
  },
  methods: {
    y(value) {
      if (this.scale !== "log") return HEIGHT * (1 - value / this.top);
      const from = Math.log(this.low);
      return HEIGHT * (1 - Math.max(0, Math.log(Math.max(value, this.low)) - from) / (Math.log(this.top) - from));
    },
    stacked(point) {
      let sum = 0;
      return point.values.map((value, part) => {
        const bottom = sum ? this.y(sum) : HEIGHT;
        sum += value;
        const y = Math.min(this.y(sum), bottom - (value > 0 ? 1.5 : 0));
        return { y, height: Math.max(0, bottom - y), kind: point.kinds[part] || "" };
      });
    },
  },
};
