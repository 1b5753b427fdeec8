export const headline = "admin";
