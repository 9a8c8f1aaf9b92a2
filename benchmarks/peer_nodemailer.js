// Sends letters as quickly as it can over Nodemailer's pool, signed; says how long it took, as JSON.
//
//     NODE_PATH=node_modules node peer_nodemailer.js PORT FIRST END CONNECTIONS < letter.json
//
// The letter is {subject, html, text, headers, from, key: {domain, selector, pem}, people: [{address, fields}]}.
'use strict'

const { createTransport } = require('nodemailer')

const FIELD = /\{\{ ([a-z_.]+) \}\}/g
const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

const [port, first, end, connections] = process.argv.slice(2).map(Number)

// Split once, so that a letter is a join.
function compile(source) {
  const parts = source.split(FIELD)
  return (fields) => parts.map((part, at) => (at % 2 ? fields[part] : part)).join('')
}

function escaped(fields) {
  const pairs = Object.entries(fields).map(([name, value]) => [name, value.replace(/[&<>"]/g, (one) => ENTITIES[one])])
  return Object.fromEntries(pairs)
}

async function main() {
  const pieces = []
  for await (const piece of process.stdin) pieces.push(piece)
  const letter = JSON.parse(Buffer.concat(pieces).toString())
  const { domain, selector, pem } = letter.key
  const transport = createTransport({
    pool: true,
    host: '127.0.0.1',
    port,
    secure: false,
    ignoreTLS: true,
    maxConnections: connections,
    maxMessages: 1000,
    dkim: { domainName: domain, keySelector: selector, privateKey: pem },
  })
  const subject = compile(letter.subject)
  const html = compile(letter.html)
  const text = compile(letter.text)
  const headers = Object.entries(letter.headers).map(([key, value]) => ({ key, value: compile(value) }))
  let next = first
  const begun = Date.now()
  async function sendSome() {
    while (next < end) {
      const { address, fields } = letter.people[next++]
      await transport.sendMail({
        from: letter.from,
        to: address,
        subject: subject(fields),
        html: html(escaped(fields)),
        text: text(fields),
        textEncoding: 'quoted-printable',
        headers: headers.map((one) => ({ key: one.key, value: one.value(fields) })),
        envelope: { from: `bounces+${fields['number']}@acme.test`, to: [address] },
      })
    }
  }
  // Some more than there are connections, so that none of them waits for a letter to be made.
  await Promise.all(Array.from({ length: connections * 2 }, sendSome))
  const ended = Date.now()
  transport.close()
  const used = process.cpuUsage()
  console.log(JSON.stringify({ begun, ended, cpu: (used.user + used.system) / 1e6 }))
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
