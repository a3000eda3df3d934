// Shows one value as text. Instants are milliseconds since the epoch; ages follow the server's clock.
import { ref } from "vue";

const MOVING = ["age", "elapsed", "until"];
const now = ref(Date.now());
setInterval(() => (now.value = Date.now()), 250);

export default {
  template: `<component :is="tag" :title="hover">{{ content }}</component>`,
  props: { kind: String, value: [String, Number, Boolean, Object], tag: { type: String, default: "span" } },
  computed: {
    moves() {
      return MOVING.includes(this.kind);
    },
    content() {
      return window.fleetgen.shown(this.kind, this.value, this.moves ? now.value : 0);
    },
    hover() {
      return (this.moves || this.kind === "time") && this.value != null ? window.fleetgen.exact(this.value) : undefined;
    },
  },
};
