export default defineEventHandler((event) => ({ url: `https://${getRequestHeader(event, 'host')}/api`, text: 'ü'.repeat(9) }))
