// The list of documents as far as this page knows it: kept while one reads a document and comes back.
// Invariants: an answer that a newer question has overtaken is dropped; nothing is kept once nobody can open letters.
import type { Category, DocumentLine, DocumentList } from "../../lib/record_contract.ts";
import { record } from "../../record.ts";
import { known } from "../../session.svelte.ts";
import { account } from "../../work.ts";

export const PAGE = 60;

export interface Wanted {
  category: Category | null;
  year: number | null;
  words: string;
  archived: boolean;
}
const ALL: Wanted = { category: null, year: null, words: "", archived: false };

class Dossier {
  wanted: Wanted = $state.raw(ALL);
  lines: readonly DocumentLine[] = $state.raw([]);
  total = $state(0);
  categories: DocumentList["categories"] = $state.raw([]);
  years: DocumentList["years"] = $state.raw([]);
  asked = $state(false); // an answer came
  busy = $state(false);
  failed = $state(false);
  /** Letters read and to be read on this device; null: all are. */
  reading: { done: number; total: number } | null = $state.raw(null);
  grouped = $state(false); // by category, not by year
  scrolled = 0;
  #question = 0;
  #begun: Promise<void> | null = null;
  #of: string | null = known.session?.unlocked ? known.session.account.id : null;

  constructor() {
    account.onChange((session) => {
      const of = session?.unlocked ? session.account.id : null;
      if (of !== this.#of) this.#forget();
      this.#of = of;
    });
  }

  get more(): boolean {
    return this.lines.length < this.total;
  }

  /** Letters are read once for each visit of the page; lists are shown meanwhile as far as they go. */
  begin(): void {
    this.#begun ??= record
      .ready((done, total) => (this.reading = done < total ? { done, total } : null))
      .then(
        () => void this.refresh(),
        () => {
          this.#begun = null;
          this.failed = true;
        },
      )
      .finally(() => (this.reading = null));
    void this.refresh();
  }

  async want(change: Partial<Wanted>): Promise<void> {
    this.wanted = { ...this.wanted, ...change };
    await this.#ask(0, PAGE);
  }

  refresh = (): Promise<void> => this.#ask(0, Math.max(PAGE, this.lines.length));

  older = (): Promise<void> => this.#ask(this.lines.length, PAGE);

  get narrowed(): boolean {
    const { category, year, words, archived } = this.wanted;
    return category !== null || year !== null || words.trim() !== "" || archived;
  }

  async #ask(position: number, limit: number): Promise<void> {
    const question = (this.#question += 1);
    this.busy = true;
    try {
      const { category, year, words, archived } = this.wanted;
      const found = await record.documents({ ...(category && { category }), ...(year && { year }), ...(words.trim() && { words }), archived, position, limit });
      if (question !== this.#question) return;
      const seen = new Set(position ? this.lines.map(({ id }) => id) : []);
      this.lines = position ? [...this.lines, ...found.lines.filter(({ id }) => !seen.has(id))] : found.lines;
      ({ total: this.total, categories: this.categories, years: this.years } = found);
      this.asked = true;
      this.failed = false;
    } catch {
      if (question === this.#question) this.failed = true;
    } finally {
      if (question === this.#question) this.busy = false;
    }
  }

  #forget(): void {
    this.#question += 1;
    this.#begun = null;
    this.wanted = ALL;
    this.lines = this.categories = this.years = [];
    this.total = this.scrolled = 0;
    this.asked = this.failed = this.busy = this.grouped = false;
    this.reading = null;
  }
}

export const dossier = new Dossier();
