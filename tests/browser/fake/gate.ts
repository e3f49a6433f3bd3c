// Who has no key at another operator: those called "accueil", and everybody in the scene "gate".
import { Refused } from "../../../webmail/ui/src/lib/contract.ts";
import { scene } from "./scene.ts";

export const gated = (address: string): boolean => scene("gate") || address.startsWith("accueil");

/** As what sends letters does: nothing leaves readable without a yes. */
export async function leave(addresses: readonly string[], agreed: readonly string[] = []): Promise<void> {
  const asked = addresses.filter((one) => gated(one) && !agreed.includes(one));
  if (asked.length === 0) return;
  // Fetched when it is needed: at the top, the letters' file and this one would each wait for the other.
  const { leaveFor } = await import("../../../webmail/ui/src/lib/gate_leave.ts");
  if (!(await leaveFor(asked))) throw new Refused("gate-not-agreed");
}
