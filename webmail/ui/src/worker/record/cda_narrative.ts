// The words of a section: StrucDoc of CDA, and XHTML of FHIR, into blocks and runs; the same as
// `mail_server/payloads/record/cda/narrative.py`. No mark, attribute or address reaches a run.
import type { Block, Cell, Run, Section, Style } from "./cda_model.ts";
import { LONGEST, type Narrative, plain } from "./cda_values.ts";
import { ANY, type XmlElement } from "./xml.ts";

export const IMAGES = 40; // of one document
export const IMAGE_LIMIT = 4_000_000; // characters of base64
export const NESTED = 4; // tables inside cells; deeper ones are read for their words, or each level would copy them all again
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const LISTS = new Set(["list", "ul", "ol"]);
const ITEMS = new Set(["item", "li"]);
const PARAGRAPHS = new Set(["paragraph", "p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote"]);
const GONE = new Set(["script", "style", "head", "title", "object", "iframe"]);
const MARKS: ReadonlyMap<string, Style> = new Map([
  ["b", "bold"], ["strong", "bold"], ["i", "italic"], ["em", "italic"], ["u", "underline"], ["s", "strike"], ["del", "strike"],
  ["sub", "sub"], ["sup", "sup"], ["caption", "bold"], ["h1", "bold"], ["h2", "bold"], ["h3", "bold"], ["h4", "bold"], ["h5", "bold"], ["h6", "bold"],
]);
const CODES: readonly [string, Style][] = [
  ["bold", "bold"], ["emphasis", "italic"], ["italics", "italic"], ["underline", "underline"], ["strike", "strike"],
];
const BEGINNINGS: readonly [string, string][] = [["iVBORw0KGgo", "image/png"], ["/9j/", "image/jpeg"], ["R0lGOD", "image/gif"]];

const run = (text: string, style: Style, lineBreak = false): Run => ({ text, style, lineBreak });
const block = (form: Block["form"], held: Partial<Block>): Block => ({
  form, runs: [], ordered: false, items: [], caption: "", head: [], rows: [], image: "", imageType: "", ...held,
});
const packed = (text: string): string => text.replace(/[ \t\r\n]+/g, "");

/** Reads the sections of one document; counts its images. */
export class Narrator {
  readonly #narrative: Narrative | null;
  readonly #shown = new Set<string>();
  #images = 0;

  constructor(narrative: Narrative | null) {
    this.#narrative = narrative;
  }

  section(section: XmlElement): Section {
    const text = section.child("text");
    const title = section.child("title");
    return {
      code: (section.child("code")?.get("code") ?? "").slice(0, LONGEST),
      title: title === null ? "" : plain(title),
      blocks: [...(text === null ? [] : this.blocks(text)), ...this.#left(section)],
      sections: section.elements("component").flatMap((component) => component.elements("section").map((inner) => this.section(inner))),
    };
  }

  blocks(element: XmlElement, depth = 0): Block[] {
    const page = new Page(this, depth);
    page.read(element, "");
    return page.finished();
  }

  /** An image in an address ("data:image/png;base64,..."). */
  inline(source: string, caption: string): Block | null {
    const comma = source.indexOf(",");
    return comma >= 0 && source.slice(0, comma).endsWith(";base64") ? this.#image(packed(source.slice(comma + 1)), caption) : null;
  }

  media(reference: string, caption: string): Block | null {
    const found = this.#narrative?.element(reference) ?? null;
    let value = found?.child("value") ?? null;
    if (found?.name === "regionOfInterest") value = found.descendants("observationMedia").next().value?.child("value") ?? null;
    if (value === null) return null;
    this.#shown.add(reference.startsWith("#") ? reference.slice(1) : reference);
    return this.#image(packed(value.text()), caption);
  }

  #image(data: string, caption: string): Block | null {
    const kind = BEGINNINGS.find(([beginning]) => data.startsWith(beginning))?.[1] ?? "";
    if (kind === "" || this.#images >= IMAGES || data.length > IMAGE_LIMIT) return null;
    if (data.length % 4 !== 0 || !BASE64.test(data)) return null;
    this.#images += 1;
    return block("image", { caption, image: data, imageType: kind });
  }

  /** Images of the section's entries that its words do not point at: the code of a prescription, say. */
  #left(section: XmlElement): Block[] {
    const found: Block[] = [];
    for (const entry of section.elements("entry"))
      for (const media of entry.descendants("observationMedia")) {
        const value = media.child("value");
        if (value === null || (media.get("ID") !== "" && this.#shown.has(media.get("ID")))) continue;
        const shown = this.#image(packed(value.text()), "");
        if (shown !== null) found.push(shown);
      }
    return found;
  }
}

/** Blocks being made: runs gather until a block, or the end, closes their paragraph. */
class Page {
  readonly #narrator: Narrator;
  readonly #depth: number; // of tables around
  #runs: Run[] = [];
  #blocks: Block[] = [];

  constructor(narrator: Narrator, depth: number) {
    this.#narrator = narrator;
    this.#depth = depth;
  }

  read(element: XmlElement, style: Style): void {
    for (const one of element.children) {
      if (typeof one === "string") this.#runs.push(run(one, style));
      else this.#mark(one, style);
    }
  }

  finished(): Block[] {
    this.#close();
    return this.#blocks;
  }

  #mark(one: XmlElement, style: Style): void {
    if (GONE.has(one.name)) return;
    if (one.name === "br") this.#runs.push(run("", style, true));
    else if (PARAGRAPHS.has(one.name)) {
      this.#close();
      this.read(one, styleOf(one, style));
      this.#close();
    } else if (LISTS.has(one.name)) this.#block(this.#list(one));
    else if (one.name === "table" && this.#depth < NESTED) this.#table(one);
    else if (one.name === "renderMultiMedia" || one.name === "img") this.#block(this.#picture(one));
    else {
      this.read(one, styleOf(one, style));
      if (one.name === "td" || one.name === "th") this.#runs.push(run(" ", style));
    }
  }

  #close(): void {
    const runs = tidied(this.#runs);
    this.#runs = [];
    if (runs.length > 0) this.#blocks.push(block("paragraph", { runs }));
  }

  #block(made: Block | null): void {
    this.#close();
    if (made !== null) this.#blocks.push(made);
  }

  #list(one: XmlElement): Block | null {
    const caption = one.child("caption");
    const items = one.elements(ANY, ANY).filter((item) => ITEMS.has(item.name)).map((item) => this.#narrator.blocks(item, this.#depth)).filter((item) => item.length > 0);
    const ordered = one.name === "ol" || one.get("listType") === "ordered";
    return items.length === 0 ? null : block("list", { ordered, items, caption: caption === null ? "" : plain(caption) });
  }

  #picture(one: XmlElement): Block | null {
    if (one.name === "img") return this.#narrator.inline(one.get("src"), one.get("alt").slice(0, LONGEST));
    const caption = one.child("caption");
    return this.#narrator.media(one.get("referencedObject"), caption === null ? "" : plain(caption));
  }

  #table(table: XmlElement): void {
    const caption = table.child("caption");
    const [head, rows, foot]: [Cell[][], Cell[][], Cell[][]] = [[], [], []]; // a foot may be written first, and stands below
    const pictures: Block[] = [];
    for (const part of table.elements(ANY, ANY)) {
      if (part.name === "tr") rows.push(this.#row(part, pictures));
      else if (["thead", "tbody", "tfoot"].includes(part.name))
        for (const row of part.elements(ANY, ANY))
          if (row.name === "tr") (part.name === "thead" ? head : part.name === "tfoot" ? foot : rows).push(this.#row(row, pictures));
    }
    const filled = (row: Cell[]): boolean => row.length > 0;
    const made = block("table", { caption: caption === null ? "" : plain(caption), head: head.filter(filled), rows: [...rows, ...foot].filter(filled) });
    if (made.head.length > 0 || made.rows.length > 0) this.#block(made);
    for (const picture of pictures) this.#block(picture);
  }

  #row(row: XmlElement, pictures: Block[]): Cell[] {
    const cells: Cell[] = [];
    for (const one of row.elements(ANY, ANY)) {
      if (one.name !== "th" && one.name !== "td") continue;
      const inside = this.#narrator.blocks(one, this.#depth + 1);
      for (const held of inside) if (held.form === "image") pictures.push(held);
      const runs = tidied(flat(inside, styleOf(one, "")));
      cells.push({ runs, header: one.name === "th", columns: span(one.get("colspan")), rows: span(one.get("rowspan")) });
    }
    return cells;
  }
}

/** The style that a mark gives its words; the innermost holds. */
function styleOf(one: XmlElement, outer: Style): Style {
  const marked = MARKS.get(one.name);
  if (marked !== undefined) return marked;
  const told = one.get("styleCode").toLowerCase();
  return CODES.find(([word]) => told.includes(word))?.[1] ?? outer;
}

const withoutLast = (text: string): string => (text.endsWith(" ") ? text.slice(0, -1) : text);

/** Spaces collapsed as a browser does, neighbours of one style joined, empty ends taken away. */
export function tidied(runs: readonly Run[]): Run[] {
  const made: Run[] = [];
  let broken = false;
  for (const one of runs) {
    broken = broken || (one.lineBreak && made.length > 0);
    const last = made.at(-1);
    let text = one.text.replace(/[ \t\r\n]+/g, " ");
    if ((broken || last === undefined || last.text.endsWith(" ")) && text.startsWith(" ")) text = text.slice(1);
    if (text === "") continue;
    if (last !== undefined && broken) last.text = withoutLast(last.text);
    if (last !== undefined && !broken && last.style === one.style) last.text += text;
    else made.push(run(text, one.style, broken));
    broken = false;
  }
  const end = made.at(-1);
  if (end !== undefined) end.text = withoutLast(end.text);
  return made.filter((one) => one.text !== "");
}

/** What stands in a cell as lines: a list's items with a dot, an inner table's rows cell after cell. */
function flat(blocks: readonly Block[], style: Style): Run[] {
  const runs: Run[] = [];
  for (const one of blocks) {
    if (one.form === "list")
      for (const item of one.items) {
        runs.push(run("• ", style, true));
        flat(item, style).forEach((held, at) => runs.push(at === 0 ? { ...held, lineBreak: false } : held));
      }
    else if (one.form === "table")
      for (const row of [...one.head, ...one.rows]) {
        runs.push(run("", style, true));
        for (const cell of row) {
          for (const held of cell.runs) runs.push(held);
          runs.push(run(" ", style));
        }
      }
    else one.runs.forEach((held, at) => runs.push(run(held.text, held.style === "" ? style : held.style, held.lineBreak || at === 0)));
  }
  return runs;
}

const span = (told: string): number => (/^[0-9]{1,4}$/.test(told) ? Math.min(Math.max(Number(told), 1), 100) : 1);
