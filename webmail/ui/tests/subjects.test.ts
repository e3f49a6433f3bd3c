// What a list shows of the subject of a letter with documents.
import assert from "node:assert/strict";
import { test } from "node:test";
import { shownSubject } from "../src/lib/mail_wire.ts";

test("the mark of documents is for software and not shown (ECO.2.1.3)", () => {
  assert.equal(shownSubject("XDM/1.0/DDM+Compte rendu GARANCE Éloïse 14/03/1951"), "Compte rendu GARANCE Éloïse 14/03/1951");
});

test("what stands before the mark stays", () => {
  assert.equal(shownSubject("Re: [Annule et remplace] XDM/1.0/DDM+ Bilan"), "Re: [Annule et remplace] Bilan");
});

test("another subject is as it is, with its plus signs", () => {
  for (const subject of ["", "Lait + miel", "XDM/1.0/DDM", "Le format XDM/1.0 et DDM+"]) assert.equal(shownSubject(subject), subject);
});
