// What people type when they copy from paper and from memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import { addressInFragment, codeInFragment, dayFault, isoDay, lastFiveOf } from "../src/screens/account/codes.ts";

const TODAY = new Date("2026-11-22T12:00:00Z");

const SAME_DAY = [
  "03/05/1948", "3/5/1948", "3.5.1948", "3-5-48", "03 05 1948", "03051948", "030548", "1948-05-03",
  "3 mai 1948", "03 Mai 48", "3 MAI 1948", "3 may 1948", "3rd May 1948",
];
for (const typed of SAME_DAY) test(`a birth date typed as "${typed}" is understood`, () => assert.equal(isoDay(typed, TODAY), "1948-05-03"));

test("every month is known by its French and its English name", () => {
  const french = ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"];
  const english = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
  for (const names of [french, english])
    assert.deepEqual(names.map((name) => isoDay(`1er ${name} 1950`, TODAY)?.slice(5, 7)), Array.from({ length: 12 }, (_, i) => String(i + 1).padStart(2, "0")));
});

for (const [typed, fault] of [["", "empty"], ["mai 1948", "form"], ["3/5", "form"], ["3 machin 1948", "form"], ["03/05/20", "year"], ["31/02/1948", "unreal"], ["3/13/1948", "unreal"], ["03/05/2048", "unreal"]] as const)
  test(`"${typed}" is no birth date, and the reason is told: ${fault}`, () => assert.equal(dayFault(typed, TODAY), fault));

test("the last five digits are found when all fifteen were typed", () => {
  for (const typed of ["14762", "147 62", "2 48 05 35 238 147 62", "2 48 05 2A 238 147 62"]) assert.equal(lastFiveOf(typed), "14762");
  for (const typed of ["", "1476", "147623", "1476a", "248053523814"]) assert.equal(lastFiveOf(typed), null);
});

test("a link carries the code, and for a professional the address", () => {
  assert.equal(codeInFragment("#code=abcdefghjkmc"), "ABCD-EFGH-JKMC");
  assert.equal(addressInFragment("#code=abcdefghjkmc"), "");
  assert.equal(addressInFragment("#code=abcdefghjkmc&adresse=dr.martin@chu.example"), "dr.martin@chu.example");
  assert.equal(addressInFragment("#adresse=<b>@x y"), "");
});
