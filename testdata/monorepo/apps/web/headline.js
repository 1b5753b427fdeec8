export const headline = "web";
