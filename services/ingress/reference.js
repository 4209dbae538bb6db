// a proxy may serve all of this under a prefix, which only the address of the page tells
const project = new URL(".", location.href).pathname.slice(0, -1);
const here = ours => description => ours({ ...description, servers: [{ url: project }] });
SwaggerUIBundle({
  url: "openapi.json", dom_id: "#reference", deepLinking: true, validatorUrl: null,
  plugins: [{ statePlugins: { spec: { wrapActions: { updateJsonSpec: here } } } }],
});
