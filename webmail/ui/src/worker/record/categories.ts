// How the record sorts documents: by the class their metadata give (JDV_J57), else by their type.
import type { Category } from "../../lib/record_contract.ts";
import type { Item } from "./manifest_model.ts";
import { classOfType } from "./labels.ts";

// A class is a stranger's word: of a Map, "constructor" is none.
const CLASSES: ReadonlyMap<string, Category> = new Map(Object.entries({
  "10": "reports",
  "11": "syntheses",
  "31": "imaging",
  "42": "prescriptions",
  "43": "dispensations",
  "44": "plans",
  "45": "treatments",
  "52": "certificates",
  "60": "reimbursements",
  "90": "mine",
  "95": "management",
} as const));

export const categoryOf = (item: Pick<Item, "class" | "type">): Category => CLASSES.get(item.class) ?? CLASSES.get(classOfType(item.type)) ?? "other";

/** Types that a patient may put in: each with its label, in the order of the list. */
export const PATIENT_TYPES = [
  "DOCPAT01", "DOCPAT02", "DOCPAT03", "DOCPAT04", "DOCPAT05", "DOCPAT06", "DOCPAT07", "DOCPAT09", "EXPPAT_1", "EXPPAT_2", "EXPPAT_3",
] as const;
