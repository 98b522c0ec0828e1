/**
 * Id of the member to hand leadership to. Members are converged in the order of their names, so the best is one that had its turn
 * already (the one before), else the one whose turn is farthest away.
 */
export function successor(
  member: string,
  roster: readonly { readonly name: string; readonly leaving?: boolean | undefined }[],
  members: readonly { readonly id: string; readonly name: string; readonly isLearner: boolean }[],
): string | undefined {
  const turns = roster.map(({ name }) => name).sort(byNumber);
  const own = turns.indexOf(member);
  const wish = [...turns.slice(0, own).reverse(), ...turns.slice(own + 1).reverse()];
  const able = wish.flatMap((name) => {
    const leaving = roster.find((each) => each.name === name)?.leaving === true;
    const listed = members.find((each) => each.name === name && !each.isLearner);
    return leaving || listed === undefined ? [] : [listed.id];
  });
  return able[0];
}

/** m2 before m10. */
function byNumber(a: string, b: string): number {
  return Number(a.slice(1)) - Number(b.slice(1));
}
