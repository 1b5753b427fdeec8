export default 'lazy'
