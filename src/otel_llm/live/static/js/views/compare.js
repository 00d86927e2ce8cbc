export function mount() { return { update() {}, destroy() {} }; }
