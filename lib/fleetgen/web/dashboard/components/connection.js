// Tells whether the page hears from the server. The library reconnects by itself, ever more slowly, up to 5 s.
export default {
  template: `<span class="connection" :class="state" role="status" aria-live="polite"><i aria-hidden="true"></i>{{ words }}</span>`,
  data: () => ({ state: "connecting", tries: 0 }),
  computed: {
    words() {
      if (this.state === "connected") return "live";
      if (this.state === "connecting") return "connecting …";
      return `connection lost: reconnecting${this.tries ? `, try ${this.tries}` : ""} …`;
    },
  },
  watch: {
    state(state) {
      document.documentElement.dataset.connection = state;
    },
  },
  mounted() {
    const wait = setInterval(() => {
      if (!window.socket) return;
      clearInterval(wait);
      const settle = () => ((this.state = "connected"), (this.tries = 0));
      if (window.socket.connected) settle();
      window.socket.on("connect", settle);
      window.socket.on("disconnect", () => (this.state = "lost"));
      window.socket.io.on("reconnect_attempt", (count) => ((this.state = "lost"), (this.tries = count)));
    }, 20);
  },
};
