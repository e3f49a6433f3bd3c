// Tells what runs, by its name and its first octets: the twin of `mail_server/payloads/record/executables.py`.
import { latin1 } from "../../lib/bytes.ts";

const ENDINGS = new Set(
  (
    "exe com scr pif bat cmd msi msp dll cpl sys drv ocx js jse mjs vbs vbe wsf wsh ws hta ps1 psm1 sh bash csh " +
    "jar class apk app dmg pkg deb rpm bin run elf so reg inf lnk url scf chm hlp iso img vhd vhdx xll xlam xla " +
    "docm dotm xlsm xltm xlsb pptm potm ppsm ppam sldm py pyc pyw pl rb php asp aspx jsp swf gadget msc"
  ).split(" "),
);
const MARKS = [
  "MZ", "\x7fELF", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe", "#!", "dex\n",
  "L\x00\x00\x00\x01\x14\x02\x00",
];
const OLE = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
const wide = (text: string): string => [...text].map((letter) => `${letter}\0`).join("");

/** Whether a file of this name and content is a program, or a document with macros. */
export function isProgram(name: string, content: Uint8Array): boolean {
  const bare = name.trim().replace(/[. ]+$/, "").toLowerCase();
  if (bare.includes(".") && ENDINGS.has(bare.slice(bare.lastIndexOf(".") + 1))) return true;
  const head = latin1(content.subarray(0, 8));
  if (MARKS.some((mark) => head.startsWith(mark))) return true;
  if (head.startsWith(OLE)) return holds(content, wide("_VBA_PROJECT")) || holds(content, wide("Macros"));
  return head.startsWith("PK\x03\x04") && holds(content, "vbaProject.bin");
}

function holds(content: Uint8Array, words: string): boolean {
  const first = words.charCodeAt(0);
  for (let at = content.indexOf(first); at >= 0; at = content.indexOf(first, at + 1)) {
    let matched = 1;
    while (matched < words.length && content[at + matched] === words.charCodeAt(matched)) matched++;
    if (matched === words.length) return true;
  }
  return false;
}
