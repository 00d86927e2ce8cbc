/** What the page remembers in this browser: three small settings, and nothing of the data. */

/** @param {string} name @param {string} fallback */
export function pref(name, fallback) {
  try {
    return localStorage.getItem(`otel-llm.${name}`) ?? fallback;
  } catch {
    return fallback; // storage can be forbidden
  }
}

/** @param {string} name @param {string} value */
export function setPref(name, value) {
  try {
    localStorage.setItem(`otel-llm.${name}`, value);
  } catch {
    // then it holds until the page is left
  }
}
