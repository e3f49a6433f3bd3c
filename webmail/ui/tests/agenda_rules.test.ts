// Recalls and wakes: public rules on invented people, and times that tell nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { recallsFor } from "../src/lib/agenda_recalls.ts";
import { MOST, STRETCH, wakeTimes } from "../src/lib/agenda_wakes.ts";
import { dayAt, type Done } from "../src/worker/agenda/recalls/evaluate.ts";

const TODAY = new Date(2026, 10, 22);
const SEXES = ["F", "M", ""] as const;
const of = (birthDate: string, sex: "F" | "M" | "" = "F", done: Done[] = [], said: [string, string][] = []) => recallsFor({ birthDate, sex }, done, new Map(said), "fr", TODAY);
const state = (all: ReturnType<typeof of>, start: string): string[] => all.filter(({ id }) => id.startsWith(`${start}.`)).map(({ id, state: now }) => `${id.slice(start.length + 1)} ${now}`);
const shot = (name: string, date: string): Done => ({ name, date, id: `doc-${date}` });

test("ages are reckoned on the calendar: the end of a month, a leap day, days", () => {
  assert.deepEqual([dayAt("2024-02-29", [1]), dayAt("2024-12-31", [0, 2]), dayAt("2026-11-22", [0, 0, 8]), dayAt("2026-01-15", [0, 11]), dayAt("1950-03-12", [65])], ["2025-03-01", "2025-03-01", "2026-11-30", "2026-12-15", "2015-03-12"]);
});

test("an infant of two months is due the first doses, and later ones are told as coming", () => {
  const all = of("2026-09-15");
  assert.deepEqual(state(all, "hexavalent"), ["0 due", "1 coming", "2 coming"]);
  assert.deepEqual(state(all, "meningo-b"), ["0 coming", "1 coming", "2 coming"]);
  assert.deepEqual(state(all, "meningo-acwy"), ["0 coming", "1 coming"]);
  assert.deepEqual(state(all, "mmr"), ["0 coming", "1 coming"]);
});

test("a dose in the record counts for the first one due, and names the document that shows it", () => {
  const all = of("2026-06-01", "M", [shot("Hexyon", "2026-08-02"), shot("Prevenar 20", "2026-08-02")]);
  assert.deepEqual(state(all, "hexavalent"), ["0 done", "1 due", "2 coming"]);
  assert.equal(all.find(({ id }) => id === "hexavalent.0")!.doneBy, "doc-2026-08-02");
  assert.deepEqual(state(all, "pneumo-infant"), ["0 done", "1 due", "2 coming"]);
});

test("the list that is compulsory since 2025 is not asked of who was older", () => {
  assert.deepEqual(state(of("2023-06-30"), "meningo-b"), []);
  assert.deepEqual(state(of("2023-07-01"), "meningo-b"), ["0 late", "1 late", "2 late"]);
});

test("twenty examinations of children, each at its age", () => {
  const seen = new Set<string>();
  for (let months = 0; months < 210; months += 1) {
    const birth = dayAt("2026-11-22", [0, 0, -30 * months]);
    for (const one of of(birth)) if (one.id.startsWith("child.")) seen.add(one.id);
  }
  assert.equal(seen.size, 20);
});

test("boosters at 6, between 11 and 13, at 25 and 45, then at 65 and every ten years", () => {
  assert.deepEqual(state(of("2020-10-01"), "dtcap-child"), ["0 due"]);
  assert.deepEqual(state(of("2014-10-01"), "dtcap-child"), ["1 due"]);
  assert.deepEqual(state(of("2001-10-01"), "dtp-adult"), ["0 due"]);
  assert.deepEqual(state(of("1981-10-01"), "dtp-adult"), ["1 due"]);
  assert.deepEqual(state(of("1961-10-01"), "dtp-senior"), ["0 due"]);
  assert.deepEqual(state(of("1950-03-12"), "dtp-senior"), ["1 late"]);
  assert.deepEqual(state(of("1950-03-12", "F", [shot("Revaxis", "2025-04-02")]), "dtp-senior"), ["1 done"]);
});

test("papillomavirus for girls and boys of 11 to 14, caught up until 26 by who had none", () => {
  for (const sex of SEXES) {
    assert.deepEqual(state(of("2015-03-01", sex), "hpv"), ["0 due", "1 due"]);
    assert.deepEqual([...state(of("2004-03-01", sex), "hpv"), ...state(of("2004-03-01", sex), "hpv-later")], ["0 due"]);
    assert.deepEqual(state(of("2004-03-01", sex, [shot("Gardasil 9", "2016-05-02")]), "hpv-later"), ["0 done"]);
    assert.deepEqual(state(of("1999-11-21", sex), "hpv-later"), []);
  }
});

test("pneumococcus and shingles from 65, RSV from 75, and it is never too late for them", () => {
  const of96 = of("1930-01-01", "");
  for (const [rule, told] of [["pneumo-senior", ["0 due"]], ["zoster", ["0 due", "1 due"]], ["rsv", ["0 due"]]] as const) assert.deepEqual(state(of96, rule), told, rule);
  assert.equal(of96.find(({ id }) => id === "rsv.0")!.until, "");
  assert.deepEqual(state(of("1958-01-01"), "rsv"), []);
  assert.deepEqual(state(of("1930-01-01", "", [shot("Shingrix", "2025-01-10")]), "zoster"), ["0 done", "1 due"]);
});

test("what cannot be made up for is not asked for any more: rotavirus after six months, an examination after its age", () => {
  assert.deepEqual(state(of("2026-09-15"), "rotavirus"), ["0 due", "1 coming"]);
  assert.deepEqual(state(of("2026-04-15"), "rotavirus"), []);
  assert.deepEqual(state(of("2026-09-15"), "child")[0], "3 due");
});

test("a booster counts for the age it was given at, not for the one before", () => {
  assert.deepEqual(state(of("2013-10-01", "M", [shot("Repevax", "2025-11-02")]), "dtcap-child"), ["1 done"]);
  assert.deepEqual(state(of("2013-10-01", "M", [shot("Infanrix Tetra", "2019-11-02")]), "dtcap-child"), ["1 due"]);
  assert.deepEqual(state(of("1981-10-01", "M", [shot("Revaxis", "2026-10-02")]), "dtp-adult"), ["1 done"]);
});

test("a vaccination is known by the words of its entry in a document, however it was written there", () => {
  const flu = (name: string): string[] => state(of("1950-03-12", "M", [shot(name, "2026-10-20")]), "flu");
  for (const name of ["VACCIN ANTIGRIPPAL", "Grippe saisonnière", "EFLUELDA TETRA, suspension injectable", "Influenza, inactivated"]) assert.deepEqual(flu(name), ["2026 done"], name);
  for (const name of ["Haemophilus influenzae b", "Covid-19", ""]) assert.deepEqual(flu(name), ["2026 due"], name);
  const mmr = (name: string): string[] => state(of("2025-09-01", "M", [shot(name, "2026-09-02")]), "mmr");
  assert.deepEqual([mmr("M-M-RvaxPro")[0], mmr("Vaccin ROR")[0], mmr("Pandemic horror")[0]], ["0 done", "0 done", "0 due"]);
  assert.deepEqual(state(of("2025-10-01", "M", [shot("Vaccin méningococcique conjugué MenACWY", "2026-04-02")]), "meningo-acwy"), ["0 done", "1 due"]);
});

test("a dose before birth, of a year alone or of no date at all is no trouble", () => {
  assert.deepEqual(state(of("2026-06-01", "M", [shot("Hexyon", "2025-01-01"), shot("Hexyon", "")]), "hexavalent")[0], "0 late");
  assert.deepEqual(state(of("2026-06-01", "M", [shot("Hexyon", "2026")]), "hexavalent")[0], "0 done");
});

test("born on the 29th of February: due on the 1st of March, and on one's birthday when there is one", () => {
  const breast = of("1972-02-29", "F").filter(({ id }) => id.startsWith("breast."));
  assert.deepEqual(breast.map(({ from }) => from), ["2026-03-01", "2028-02-29"].filter((day) => day <= "2028-11-22"));
});

test("the prevention check-up at its four ages, for everyone, and no more after them", () => {
  for (const [birth, told] of [["2008-11-22", ["0 due"]], ["2000-11-21", []], ["2000-11-23", ["0 due"]], ["1981-11-22", ["1 due"]], ["1966-11-22", ["2 due"]], ["1956-11-22", ["3 due"]], ["1950-03-12", []]] as const) {
    for (const sex of SEXES) assert.deepEqual(state(of(birth, sex), "prevention").filter((one) => !one.endsWith("coming")), told, birth);
  }
});

test("influenza each autumn from 65 on, of this season and not of the last", () => {
  assert.deepEqual(state(of("1961-11-22"), "flu"), ["2026 due"]);
  assert.deepEqual(state(of("1962-06-01"), "flu"), []);
  assert.deepEqual(state(of("1950-03-12", "M", [shot("Vaxigrip", "2025-11-02")]), "flu"), ["2026 due"]);
  assert.deepEqual(state(of("1950-03-12", "M", [shot("Vaxigrip", "2026-10-20")]), "flu"), ["2026 done"]);
});

test("screenings by age, and by sex where one was told", () => {
  assert.deepEqual(state(of("1970-01-10", "F"), "breast").length, 2);
  for (const sex of ["M", ""] as const) assert.deepEqual([...state(of("1970-01-10", sex), "breast"), ...state(of("1995-01-10", sex), "cervix")], []);
  assert(state(of("1970-01-10", ""), "colon").length > 0);
  assert.deepEqual(state(of("1950-03-12", "F"), "breast").filter((one) => one.endsWith("due")), []);
  assert.deepEqual(state(of("2001-08-01", "F"), "cervix-young").slice(0, 1), ["0 due"]);
});

test("what one said wins over the rule and over the record, and can be taken back", () => {
  assert.deepEqual(state(of("1950-03-12", "F", [], [["flu.2026", "refused"]]), "flu"), ["2026 refused"]);
  assert.deepEqual(state(of("1950-03-12", "F", [], [["flu.2026", "done"]]), "flu"), ["2026 done"]);
  assert.deepEqual(state(of("1950-03-12", "F", [], [["flu.2026", "open"]]), "flu"), ["2026 due"]);
});

test("every recall of every age tells why, its source and its date, in both languages", () => {
  for (let age = 0; age < 100; age += 1) {
    for (const language of ["fr", "en"] as const) {
      for (const one of recallsFor({ birthDate: `${2026 - age}-06-15`, sex: "F" }, [], new Map(), language, TODAY)) {
        assert(one.why.length > 20 && one.title.length > 3 && /\(20\d\d-\d\d\)$/.test(one.source), one.id);
        assert(one.until === "" || one.from <= one.until);
      }
    }
  }
});

test("wakes are one in each stretch to come, in their order, whatever is due", () => {
  const now = Date.UTC(2026, 10, 22, 9, 7);
  const made = wakeTimes(now, Math.random);
  assert.equal(made.length, MOST);
  assert.equal(new Set(made.map((at) => Math.floor(at / STRETCH))).size, MOST);
  assert(made.every((at, i) => at > now && (i === 0 || at > made[i - 1]!)));
});

/** How far the minute somebody is most often woken at stands out, in standard deviations of chance. */
function standsOut(asked: readonly (readonly number[])[], minutes: number): number {
  const counted = new Map<number, number>();
  for (const times of asked) for (const minute of new Set(times.map((at) => Math.floor(at / 60_000)))) counted.set(minute, (counted.get(minute) ?? 0) + 1);
  const each = asked.reduce((sum, times) => sum + times.length, 0) / minutes;
  return (Math.max(...counted.values()) - each) / Math.sqrt(each);
}

test("over five hundred askings no minute stands out; a reminder hidden among decoys, or blurred by minutes, would", () => {
  const now = Date.UTC(2026, 10, 22, 9, 7);
  const due = now + 7 * 3_600_000; // a reminder of the agenda
  const minutes = (STRETCH / 60_000) * MOST;
  const askings = (more: (times: number[]) => number[]): number[][] => Array.from({ length: 500 }, () => more(wakeTimes(now, Math.random)));
  assert(standsOut(askings((times) => times), minutes) < 6);
  assert(standsOut(askings((times) => [...times, due]), minutes) > 6);
  assert(standsOut(askings((times) => [...times, due + (Math.random() - 0.5) * 600_000]), minutes) > 6);
});

test("over a thousand askings no minute is asked for oftener than chance has it: a reminder would show", () => {
  const now = Date.UTC(2026, 10, 22, 9, 7);
  const counted = new Map<number, number>();
  for (let turn = 0; turn < 1000; turn += 1) for (const at of wakeTimes(now, Math.random)) counted.set(Math.floor(at / 60_000), (counted.get(Math.floor(at / 60_000)) ?? 0) + 1);
  const counts = [...counted.values()];
  const expected = (1000 * MOST) / ((STRETCH / 60_000) * MOST); // 50 in each minute
  const chi = counts.reduce((sum, one) => sum + (one - expected) ** 2 / expected, 0);
  const free = (STRETCH / 60_000) * MOST - 1;
  assert.equal(counts.length, free + 1);
  assert(Math.abs(chi - free) < 6 * Math.sqrt(2 * free), `${chi} for ${free}`);
});
