// Buttons and the dialogs behind them. The server decides what is done; while it does, everything here is off.
const CONFIRMATION = "reset";
const SETTLE_MILLISECONDS = 800;

export default {
  template: `
    <div>
      <div class="steering" role="group" aria-label="Steering">
        <form v-if="locked" class="token" @submit.prevent="$emit('unlock', token); token = ''">
          <input v-model="token" class="field" type="password" placeholder="token" autocomplete="off" aria-label="Token that changes need">
          <button type="submit" class="button">Unlock</button>
        </form>
        <button type="button" class="button primary" :disabled="off" @click="once(paused ? 'resume' : 'pause')">{{ paused ? "Resume" : "Pause" }}</button>
        <button type="button" class="button" :disabled="off || !paused" :title="paused ? '' : 'Pause first: nothing may be written meanwhile.'" @click="askReset">Reset …</button>
        <select class="choice" aria-label="Mode" :disabled="off" :value="mode" @change="ask($event, 'mode', mode)">
          <option v-for="each in ['emulated', 'production']" :key="each" :value="each">{{ each }}</option>
        </select>
        <select class="choice" aria-label="Preset" :disabled="off" value="" @change="ask($event, 'preset', '')">
          <option value="">preset …</option>
          <option v-for="each in presets" :key="each" :value="each">{{ each }}</option>
        </select>
        <button type="button" class="button quiet" aria-label="Switch between light and dark" @click="toggle">Theme</button>
        <p class="result" :class="good ? 'ok' : 'bad'" role="status">{{ busy ? "Working …" : result }}</p>
      </div>
      <dialog ref="reset" class="asking" aria-labelledby="reset-title"><div>
        <h2 id="reset-title">Delete the dataset?</h2>
        <p>{{ batches.toLocaleString() }} batches with {{ records.toLocaleString() }} records, their truth, the ledgers and all tables go. The pause, the configuration and the logs stay.</p>
        <label>Type {{ confirmation }} to go on <input v-model="word" class="field" type="text" autocomplete="off"></label>
        <progress v-if="resetting" aria-label="Deleting"></progress>
        <p class="actions">
          <button type="button" class="button danger" :disabled="word.trim().toLowerCase() !== confirmation || off" @click="reset">Delete everything</button>
          <button type="button" class="button" @click="$refs.reset.close()">Cancel</button>
        </p>
      </div></dialog>
      <dialog ref="edit" class="asking" aria-labelledby="edit-title" @close="edit && $emit('cancel')"><div v-if="edit">
        <h2 id="edit-title">{{ edit.title }}</h2>
        <p>{{ edit.note }}</p>
        <pre class="difference" tabindex="0" aria-label="Difference"><span v-for="(line, place) in edit.lines" :key="place" :class="look(line)">{{ line }}</span><span v-if="!edit.lines.length">Nothing would change.</span></pre>
        <p class="actions">
          <button type="button" class="button primary" @click="once('apply')">Change the file</button>
          <button type="button" class="button" @click="$refs.edit.close()">Cancel</button>
        </p>
      </div></dialog>
    </div>`,
  props: { paused: Boolean, mode: String, batches: Number, records: Number, locked: Boolean, busy: Boolean, result: String, good: Boolean, edit: Object, presets: Array },
  emits: ["unlock", "pause", "resume", "reset", "ask", "apply", "cancel"],
  data: () => ({ token: "", word: "", resetting: false, settling: false, confirmation: CONFIRMATION }),
  computed: {
    off() {
      return this.locked || this.busy || this.settling;
    },
  },
  watch: {
    edit(edit) {
      if (edit && !this.$refs.edit.open) this.$refs.edit.showModal();
      if (!edit && this.$refs.edit.open) this.$refs.edit.close();
    },
    busy(busy) {
      if (!busy && this.resetting) {
        this.resetting = false;
        this.$refs.reset.close();
      }
    },
  },
  methods: {
    look: (line) => ({ "+": "added", "-": "removed" })[line[0]] || "same",
    once(what) {
      if (this.settling) return;
      this.settling = true; // the second click of a double click may find another button in the place of the first
      setTimeout(() => (this.settling = false), SETTLE_MILLISECONDS);
      this.$emit(what);
    },
    toggle: () => window.fleetgen.toggle(),
    ask(event, what, before) {
      const value = event.target.value;
      event.target.value = before; // it shows what is in force, not what was asked for
      if (value && value !== before) this.$emit("ask", { [what]: value });
    },
    askReset() {
      this.word = "";
      this.$refs.reset.showModal();
    },
    reset() {
      this.resetting = true;
      this.$emit("reset", CONFIRMATION);
    },
  },
};
