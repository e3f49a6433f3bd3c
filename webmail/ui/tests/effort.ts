// What work costs where it is held against a bound: CPU, for the machine does much else meanwhile.
//
// Not a measure of performance: only what grows with its square, or never ends, goes beyond.

export const cpu = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000; // ms
};
