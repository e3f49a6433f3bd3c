// Times of HL7 version 3 and of ISO 8601, with the precision they came with: the same as
// `mail_server/payloads/record/cda/times.py`.
const HL7 = /^([0-9]{4})([0-9]{2})?([0-9]{2})?([0-9]{2})?([0-9]{2})?([0-9]{2})?(?:\.[0-9]+)?([+-][0-9]{4}|Z)?$/;
const ISO = /^([0-9]{4})(?:-([0-9]{2}))?(?:-([0-9]{2}))?(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?(?:\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?)?$/;
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** "20261120083000+0100" is "2026-11-20T08:30:00+01:00"; "2026" stays. An hour without minutes is its day. */
export const isoOf = (told: string): string => read(HL7, told);

/** A time of ISO 8601 (FHIR's dateTime) as `isoOf` writes it; "" when it is none. */
export const tidy = (told: string): string => read(ISO, told);

/** The day of a time, as a person in France reads it: "20/11/2026", "11/2026", "2026". */
export const dayOf = (iso: string): string => iso.slice(0, 10).split("-").reverse().join("/");

function read(shape: RegExp, told: string): string {
  const found = shape.exec(told.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, ""));
  if (found === null) return "";
  const [year = "", month = "", day = "", hour = "", minute = "", second = "", zone = ""] = found.slice(1).map((part) => part ?? "");
  if (month === "") return year;
  if (Number(month) < 1 || Number(month) > 12) return "";
  if (day === "") return `${year}-${month}`;
  if (Number(day) < 1 || Number(day) > (DAYS[Number(month) - 1] ?? 0)) return "";
  const date = `${year}-${month}-${day}`;
  if (hour === "" || minute === "") return date;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return date;
  return `${date}T${hour}:${minute}:${second === "" ? "00" : second}${zoneOf(zone)}`;
}

function zoneOf(zone: string): string {
  if (["", "Z", "+0000", "+00:00"].includes(zone)) return zone === "" ? "" : "Z";
  const digits = zone.replace(":", "");
  return `${digits.slice(0, 3)}:${digits.slice(3)}`;
}
