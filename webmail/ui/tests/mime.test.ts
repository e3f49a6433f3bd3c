import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, utf8, fromUtf8, random, type Bytes } from "../src/lib/bytes.ts";
import { armor, base64Lines, dearmor } from "../src/worker/armor.ts";
import { decodeWords, parameterised, people } from "../src/worker/mime/fields.ts";
import { htmlToText } from "../src/worker/mime/html_text.ts";
import { see } from "../src/worker/mime/letter.ts";
import { content, parse } from "../src/worker/mime/parts.ts";
import { body, field, mailbox, quoted, unstructured } from "../src/worker/mime/write.ts";
import { sniff } from "../src/worker/sniff.ts";
import { readSummary, summarise, summaryBytes } from "../src/worker/summary.ts";
import { cpu } from "./effort.ts";

const message = (text: string): Bytes => utf8(text.replaceAll("\n", "\r\n"));
const seen = (text: string) => {
  const bytes = message(text);
  return see(bytes, parse(bytes));
};

test("encoded words join their bytes before they are decoded, and blanks between them vanish", () => {
  assert.equal(decodeWords("=?utf-8?b?UsOp?= =?utf-8?q?sultats?= du 12"), "Résultats du 12");
  assert.equal(decodeWords("=?utf-8?b?4oI=?= =?utf-8?b?rA==?="), "€");
  assert.equal(decodeWords("=?iso-8859-1?q?caf=E9_noir?="), "café noir");
});

test("a subject loses control characters and characters that turn a line around", () => {
  assert.equal(decodeWords("=?utf-8?q?a=00b=0Dc=E2=80=AEd?="), "a b c d");
});

test("what is not an encoded word stays as it came", () => {
  assert.equal(decodeWords("1 =? 2 ?= 3"), "1 =? 2 ?= 3");
  assert.equal(decodeWords("=?utf-8?x?abc?="), "=?utf-8?x?abc?=");
});

test("parameters are read quoted, bare, and in numbered pieces with a charset", () => {
  const { value, params } = parameterised(
    "Application/PDF; name=\"a \\\"b\\\".pdf\"; size=3; filename*0*=utf-8''compte%20; filename*1*=rendu%C3%A9; filename*2=\".pdf\"",
  );
  assert.equal(value, "application/pdf");
  assert.equal(params.get("name"), 'a "b".pdf');
  assert.equal(params.get("size"), "3");
  assert.equal(params.get("filename"), "compte rendué.pdf");
});

test("mailboxes are told apart at commas outside quotes", () => {
  assert.deepEqual(people('"Martin, Claire" <claire@exemple.fr>, jean@exemple.fr, =?utf-8?q?H=C3=B4pital?= <chu@exemple.fr>'), [
    { name: "Martin, Claire", address: "claire@exemple.fr" },
    { name: "", address: "jean@exemple.fr" },
    { name: "Hôpital", address: "chu@exemple.fr" },
  ]);
});

test("of an alternative both are kept, and the text is the plain one", () => {
  const letter = seen(`Content-Type: multipart/alternative; boundary=x

--x
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Bonjour=2C =C3=A7a va=
 bien
--x
Content-Type: text/html

<p>Bonjour</p>
--x--
`);
  assert.equal(letter.text, "Bonjour, ça va bien");
  assert.match(letter.html ?? "", /<p>Bonjour<\/p>/);
  assert.equal(letter.parts.length, 0);
});

const report = (words: string): string => `Content-Type: multipart/report; report-type=delivery-status; boundary=x

--x
${words}
--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mss.exemple.fr

--x
Content-Type: text/rfc822-headers

Subject: ...
--x
Content-Type: message/rfc822

Subject: Une lettre

Rendue.
--x--
`;

test("of a report a person gets the words, not what it says to programs", () => {
  const letter = seen(report("Content-Type: text/plain\n\nRemis."));
  assert.equal(letter.text, "Remis.");
  assert.deepEqual(letter.parts.map(({ name }) => name), ["message.eml"]);
});

test("a report without words shows what it has", () => {
  assert.equal(seen(report("Content-Type: application/octet-stream\n\n")).parts.length, 4);
});

test("what only calls itself the part of a report is listed", () => {
  assert.equal(seen("Content-Type: multipart/mixed; boundary=x\n\n--x\n\nBonjour\n--x\nContent-Type: text/rfc822-headers\n\nx\n--x--\n").parts.length, 1);
  assert.equal(seen(report("\nRemis.").replace("message/delivery-status", "message/delivery-status; name=ordonnance.pdf")).parts.length, 2);
});

test("a letter of HTML alone has its text drawn from it", () => {
  const letter = seen("Content-Type: text/html; charset=utf-8\n\n<style>p{}</style><p>R&eacute;sultat&nbsp;: 5 &lt; 7</p><script>alert(1)</script><ul><li>un<li>deux</ul>");
  assert.equal(letter.text, "Résultat\u00a0: 5 < 7\n\n• un\n• deux");
});

test("text that flows is joined again, quotes apart", () => {
  const letter = seen("Content-Type: text/plain; format=flowed\n\nUne ligne \nqui continue.\n> citée \n> encore\nfin\n-- \nnom");
  assert.equal(letter.text, "Une ligne qui continue.\n> citée encore\nfin\n-- \nnom");
});

test("an attachment's type is what its bytes tell, and its name has no path", () => {
  const letter = seen(`Content-Type: multipart/mixed; boundary="b b"

--b b
Content-Type: text/plain

voici
--b b
Content-Type: image/png; name="C:\\\\secret\\\\photo.png"
Content-Transfer-Encoding: base64
Content-Disposition: attachment

JVBERi0xLjcK
--b b--`);
  assert.equal(letter.parts[0]?.type, "application/pdf");
  assert.equal(letter.parts[0]?.name, "photo.png");
  assert.equal(letter.parts[0]?.size, 9);
});

test("a picture of the text is inline, with its content id", () => {
  const letter = seen("Content-Type: multipart/related; boundary=r\n\n--r\nContent-Type: text/html\n\n<img src=cid:a@b>\n--r\nContent-Type: image/png\nContent-ID: <a@b>\n\nx\n--r--");
  assert.deepEqual([letter.parts[0]?.inline, letter.parts[0]?.contentId], [true, "a@b"]);
});

test("boundaries that never close, nest without end or repeat do not hang and do not raise", () => {
  const open = seen("Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\ncoupé");
  assert.equal(open.text, "coupé");
  let nested = "fin";
  for (let depth = 0; depth < 60; depth++) nested = `Content-Type: multipart/mixed; boundary=b${depth}\n\n--b${depth}\n${nested}\n--b${depth}--`;
  seen(nested);
  const many = seen(`Content-Type: multipart/mixed; boundary=x\n\n${"--x\n\na\n".repeat(5000)}--x--`);
  assert(many.text.length < 5000);
});

test("bytes drawn at random, alone and inside a frame, never raise", () => {
  for (let turn = 0; turn < 300; turn++) {
    const noise = random(1 + (turn % 700));
    const framed = concat([utf8("Content-Type: multipart/mixed; boundary=-\r\nSubject: "), noise, utf8("\r\n\r\n---\r\n"), noise]);
    for (const bytes of [noise, framed]) see(bytes, parse(bytes));
    people(decodeWords(String.fromCharCode(...noise)));
    parameterised(String.fromCharCode(...noise));
    dearmor(noise);
    htmlToText(String.fromCharCode(...noise));
  }
});

test("hostile text costs little: a long line of quotes, brackets or ampersands", () => {
  const started = cpu();
  for (const one of ['"', "<", "&", "=?", ";a=", "<!--", "(", "\\"]) {
    const long = one.repeat(100_000);
    people(long);
    parameterised(long);
    decodeWords(long);
    htmlToText(long);
  }
  assert(cpu() - started < 30_000, "took too long");
});

test("HTML made to be read again and again is read once", () => {
  const started = cpu();
  for (const one of ["<style ", "<br ", "<p ", "</td ", "<li ", "&nbsp;", "&#32;", "&#9;&nbsp;", "</style ", "<style></style  ", "<svg><p>", "\t "]) {
    htmlToText(one.repeat(Math.ceil(2_000_000 / one.length)));
    htmlToText(`<style>${one.repeat(100_000)}`);
  }
  assert(cpu() - started < 60_000, "took too long");
});

test("text drawn from HTML leaves out what is hidden, and keeps lines, lists and cells", () => {
  assert.equal(htmlToText("a<style>b</style>c<SCRIPT x>d</script >e<!-- f -->g"), "a c e g");
  assert.equal(htmlToText("a<head><title>b</title></head><body>c"), "a c");
  assert.equal(htmlToText("a<style>b"), "a");
  assert.equal(htmlToText("a<!-- b"), "a");
  assert.equal(htmlToText("<table><tr><td>a</td><td>b</td></tr></table>"), "a  b");
  assert.equal(htmlToText("<ul><li>a<li>b</ul>1 < 2 &lt;b&gt;"), "• a\n• b\n1 < 2 <b>");
  assert.equal(htmlToText("<p>a</p><p>b<br>c</p><stylez>d</stylez>"), "a\n\nb\nc\nd");
});

test("base64 is read with whatever stands between its digits", () => {
  const bytes = message("Content-Transfer-Encoding: base64\n\nQm9u\n am91*cg==\n");
  assert.equal(fromUtf8(content(bytes, parse(bytes))), "Bonjour");
});

test("armor written here is read back, for every remainder of three, and with headers and without checksum", () => {
  for (let length = 0; length < 200; length++) {
    const data = concat([Uint8Array.of(0xc1), random(length)]);
    const made = armor(data);
    assert.deepEqual(dearmor(made), data);
    for (const line of fromUtf8(made).split("\r\n")) assert(line.length <= 76);
  }
  const text = fromUtf8(armor(utf8("abc"))).replace(/\r\n=....\r\n/, "\r\n").replace("MESSAGE-----\r\n", "MESSAGE-----\r\nVersion: x\r\n");
  assert.equal(fromUtf8(dearmor(utf8(text))!), "abc");
  assert.equal(base64Lines(new Uint8Array(0)).length, 0);
});

test("a field cannot open a second one, and long ones are folded", () => {
  const made = field(["Subject", unstructured("un\r\nBcc: x@y " + "très long ".repeat(30))]);
  assert.doesNotMatch(made, /\nBcc/);
  for (const line of made.trimEnd().split("\r\n")) assert(line.length <= 78);
  assert.equal(mailbox({ name: 'A"\r\nBcc: x', address: "a@b.fr>\r\nBcc: <x@y" }), '"A Bcc: x" <a@b.frBcc:x@y>');
});

test("what is written is read back: text, accents, dots, long lines, attachments", () => {
  const text = "Élise,\n.\nFrom: moi\nligne finie par un blanc \n" + "mot=é ".repeat(60) + "\n\tfin";
  const file = { name: "compte rendu été.pdf", type: "application/pdf", data: utf8("%PDF-1.7\nx") };
  const { fields, octets } = body(text, [file], "");
  const bytes = concat([utf8(`${fields}\r\n`), octets]);
  const letter = see(bytes, parse(bytes));
  assert.equal(letter.text, text);
  assert.equal(letter.parts[0]?.name, "compte rendu été.pdf");
  assert.deepEqual(new Uint8Array(letter.parts[0]!.data), file.data);
  for (const line of quoted(text).split("\r\n")) assert(line.length <= 76);
});

test("types are told from bytes alone", () => {
  const told = (text: string) => sniff(Uint8Array.from(text, (one) => one.charCodeAt(0)));
  assert.equal(told("%PDF-1.4"), "application/pdf");
  assert.equal(told("\xff\xd8\xff\xe0"), "image/jpeg");
  assert.equal(told("MZ\x90\x00"), "application/octet-stream");
  assert.equal(told("<html><script>"), "text/plain");
  assert.equal(told("BEGIN:VCALENDAR\r\n"), "text/calendar");
  assert.equal(told("\xc3\xa9t\xc3\xa9"), "text/plain");
  assert.equal(told("\xe9t\xe9"), "application/octet-stream");
});

test("a summary stays within a kilobyte and reads back", () => {
  const line = summarise("é".repeat(500), "Dr Claire", "mot ".repeat(900), [["a".repeat(200), "application/pdf"], ["b", "c"]]);
  assert(summaryBytes(line).length <= 1024);
  assert.deepEqual(readSummary(summaryBytes(line)), line);
  assert.equal(readSummary(utf8("{")), null);
  assert.deepEqual(readSummary(utf8('{"subject":5,"parts":[1,["a"]]}')), { subject: "5", from: "", text: "", parts: [["a", ""]] });
});
