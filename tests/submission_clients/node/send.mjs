// One message by Nodemailer: `node send.mjs starttls|tls ADDRESS`. Where to is in the environment.
import nodemailer from "nodemailer";

const [way, address] = process.argv.slice(2);
const { PW_HOST, PW_SMTP_PORT, PW_TLS_PORT, PW_KEY, PW_SENDER } = process.env;

const transport = nodemailer.createTransport({
  host: PW_HOST,
  port: Number(way === "tls" ? PW_TLS_PORT : PW_SMTP_PORT),
  secure: way === "tls",
  requireTLS: true,
  auth: { user: "apikey", pass: PW_KEY },
});

const info = await transport.sendMail({
  from: `Acme Garden <${PW_SENDER}>`,
  to: address,
  subject: "Your order, from Nodemailer",
  text: "It has left the orchard.",
  html: "<p>It has left the <b>orchard</b>.</p>",
  headers: { "X-Postwright-Tag": "receipt" },
  attachments: [{ filename: "receipt.txt", content: "42 seeds\n" }],
});
transport.close();
console.log(info.response);
