// How the set is, and whether the page hears from the server. The library reconnects by itself, ever more slowly, up to 5 s.
import { Value } from "fleetgen-page";

export default {
  components: { Value },
  template: `
    <div>
      <div class="glance">
        <h1 class="brand">fleetgen</h1>
        <p class="status" :class="status" role="status">{{ word }}</p>
        <p class="fact"><span class="label">mode</span> <span>{{ mode }}</span></p>
        <p class="fact"><span class="label">seed</span> <value kind="text" :value="seed"></value></p>
        <p class="fact"><span class="label">up</span> <value kind="elapsed" :value="up"></value></p>
        <p class="fact"><span class="label">version</span> <span>{{ version }}</span></p>
        <span class="connection" :class="connection" role="status"><i aria-hidden="true"></i>{{ words }}</span>
      </div>
      <ul class="reasons" aria-label="What is wrong" aria-live="polite">
        <li v-for="reason in reasons" :key="reason.code + reason.detail" :class="reason.code">
          <b>{{ reason.code.replaceAll("_", " ") }}</b> {{ reason.detail }}</li>
      </ul>
    </div>`,
  props: { status: String, mode: String, seed: String, up: Number, version: String, reasons: Array },
  data: () => ({ connection: "connecting", tries: 0 }),
  computed: {
    word() {
      return this.status[0].toUpperCase() + this.status.slice(1);
    },
    words() {
      if (this.connection === "connected") return "live";
      if (this.connection === "connecting") return "connecting …";
      return `connection lost: reconnecting${this.tries ? `, try ${this.tries}` : ""} …`;
    },
  },
  watch: {
    connection(state) {
      document.documentElement.dataset.connection = state;
    },
  },
  mounted() {
    const wait = setInterval(() => {
      if (!window.socket) return;
      clearInterval(wait);
      const settle = () => ((this.connection = "connected"), (this.tries = 0));
      if (window.socket.connected) settle();
      window.socket.on("connect", settle);
      window.socket.on("disconnect", () => (this.connection = "lost"));
      window.socket.io.on("reconnect_attempt", (count) => ((this.connection = "lost"), (this.tries = count)));
    }, 20);
  },
};
