// The record's own drawings, as one stroke each on a sheet of 24 by 24; those of the other screens serve where they fit.
import { DRAWINGS } from "../../components/drawings.ts";
import type { Category, ProfileArea } from "../../lib/record_contract.ts";

const FOLDER = "M3 6h7l2 2h9v11H3z";
const CAPSULE = "M4.900 12.100l7.200-7.200a4.950 4.950 0 0 1 7 7l-7.200 7.200a4.950 4.950 0 0 1-7-7z M8.500 8.500l7 7";
const SYRINGE = "M15 3l6 6 M18 6l-2.500 2.500 M12 5l7 7 M13.500 6.500L6 14v4h4l7.500-7.500 M6 18l-3 3 M9.500 10.500l2 2";
export const CHART = "M4 4v16h16 M7 15l4-5 3 3 5-7";
export const HEART = "M12 20s-7.500-4.600-7.500-10.200A4.200 4.200 0 0 1 12 7a4.200 4.200 0 0 1 7.500 2.800C19.500 15.400 12 20 12 20z";
export const CALENDAR = "M4 6h16v14H4zM4 10h16M8 3v4M16 3v4";
export const HIDDEN = "M3 3l18 18 M9.900 6.200A9.600 9.600 0 0 1 12 6c6 0 9.500 6 9.500 6a17 17 0 0 1-2.700 3.300 M6.300 7.800A17 17 0 0 0 2.500 12s3.500 6 9.500 6a9.500 9.500 0 0 0 4.200-1 M9.900 9.900a2.800 2.800 0 0 0 4 4";
export const UP = "M12 19V5 M6 11l6-6 6 6";
export const DOWN = "M12 5v14 M6 13l6 6 6-6";
export const EVEN = "M5 12h14";

export const CATEGORY: Record<Category, string> = {
  reports: "M6 3h8l4 4v14H6z M14 3v4h4 M9 12h6 M9 16h6",
  syntheses: "M5 4h14v16H5z M8 8h8 M8 12h8 M8 16h5",
  imaging: "M4 8V4h4 M16 4h4v4 M20 16v4h-4 M8 20H4v-4 M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
  prescriptions: CAPSULE,
  dispensations: "M5 8h14l-1 12H6z M9 10.500V6.500a3 3 0 0 1 6 0v4",
  plans: `${CALENDAR} M9 15l2 2 4-4`,
  treatments: SYRINGE,
  certificates: "M12 3a6 6 0 1 0 0 12 6 6 0 0 0 0-12z M8.500 14L7 21l5-2.500L17 21l-1.500-7",
  reimbursements: "M17 6.500a6.500 6.500 0 1 0 0 11 M4 10.500h9 M4 13.500h9",
  mine: DRAWINGS.person,
  management: FOLDER,
  other: DRAWINGS.file,
};

export const AREA: Record<ProfileArea, string> = {
  allergies: DRAWINGS.warning,
  history: DRAWINGS.clock,
  family: DRAWINGS.people,
  treatments: CAPSULE,
  measures: CHART,
  vaccinations: SYRINGE,
  wishes: HEART,
  contacts: DRAWINGS.phone,
};
