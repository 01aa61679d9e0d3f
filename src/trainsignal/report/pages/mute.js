// Dots and stars are muted with their line, which is what the legend mutes.
for (const [line, ...marks] of curves) {
  for (const mark of marks) mark.setv({muted: line.muted}, {sync: false});
}
