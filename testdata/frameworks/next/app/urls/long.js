// long returns a text that React sends with its length in bytes.
export const long = (origin) =>
  Array.from({ length: 60 }, (_, i) => `<a href="${origin}/about?i=${i}" title='ü \\ "'>\n\t${i} &amp; 😀</a>`).join('')
