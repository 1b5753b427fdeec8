export const headline = 'before'
