// What the templates of panels are made of.
export { default as Bars } from "./bars.js";
export { default as Value } from "./value.js";
