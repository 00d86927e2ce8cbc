/** From the server's points, one a second, to the bins of a chart. */

/**
 * @typedef {object} Bins
 * @property {number[]} times start of each bin, seconds since the epoch
 * @property {(fields: string[]) => (number | null)[][]} sums per second, one column per field
 * @property {(field: string) => (number | null)[]} worst the highest second of the bin
 * @property {(field: string) => (number | null)[]} typical the mean of the seconds, by their number of responses
 * @property {(field: string) => (number | null)[]} last the newest value in the bin
 * @property {(part: string, whole: string) => (number | null)[]} ratio of two sums
 */

/**
 * @param {any[]} points oldest first
 * @param {number} span seconds to look back
 * @param {number} width seconds of a bin; bins are aligned, so that they do not flicker, and the newest, unfinished one is left out
 * @returns {Bins}
 */
export function binned(points, span, width) {
  const end = points.length ? Math.floor((points[points.length - 1].t + 1) / width) * width : 0;
  const start = end - span;
  /** @type {any[][]} */
  const bins = Array.from({ length: span / width }, () => []);
  for (const point of points) if (point.t >= start && point.t < end) bins[Math.floor((point.t - start) / width)].push(point);

  /** @param {any[]} bin @param {string} field */
  const values = (bin, field) => bin.map((point) => point[field]).filter((value) => value !== null && value !== undefined);
  /** @param {any[]} bin @param {string} field */
  const sum = (bin, field) => values(bin, field).reduce((a, b) => a + b, 0);
  /** @param {any[]} bin @param {string} field */
  function weighted(bin, field) {
    const known = bin.filter((point) => point[field] !== null && point[field] !== undefined);
    const weight = known.reduce((total, point) => total + Math.max(point.responses, 1), 0);
    return weight ? known.reduce((total, point) => total + point[field] * Math.max(point.responses, 1), 0) / weight : null;
  }
  return {
    times: bins.map((_, at) => start + at * width),
    sums: (fields) => fields.map((field) => bins.map((bin) => (bin.length ? sum(bin, field) / bin.length : null))),
    worst: (field) => bins.map((bin) => (values(bin, field).length ? Math.max(...values(bin, field)) : null)),
    typical: (field) => bins.map((bin) => weighted(bin, field)),
    last: (field) => bins.map((bin) => values(bin, field).at(-1) ?? null),
    ratio: (part, whole) => bins.map((bin) => (sum(bin, whole) ? sum(bin, part) / sum(bin, whole) : null)),
  };
}
