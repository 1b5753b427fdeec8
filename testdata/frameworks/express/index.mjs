import express from 'express'

const app = express()

app.get('/', (req, res) => {
  res.send(`<!doctype html><title>shop</title><link rel="icon" href="data:,"><h1 id="headline">before</h1>
<script>
  fetch('/old').then((r) => r.json()).then((found) => (document.querySelector('#headline').textContent = found.name), (e) => (document.querySelector('#headline').textContent = 'failed: ' + e))
</script>`)
})
app.get('/old', (req, res) => res.redirect(`${req.protocol}://${req.get('host')}/new`))
app.get('/new', (req, res) => res.json({ name: 'found' }))

app.listen(process.argv[2], '127.0.0.1')
