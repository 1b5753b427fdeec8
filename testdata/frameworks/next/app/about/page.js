export default function About() {
  return <h1 id="headline">about</h1>
}
