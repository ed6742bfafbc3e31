/**
 * An inventory as a CycloneDX document, version 1.6, JSON, by the CycloneDX library. Deterministic: the serial number
 * follows from the content. Reads and writes no file; loaded by recipes only.
 * @module
 */
import { Enums, Models, Serialize, Spec } from "@cyclonedx/cyclonedx-library";
import { type Inventory, sentenceOf } from "./inventory.ts";
import { idOf, purlOf } from "./packages.ts";
import { type About, uuidOf } from "./spdx.ts";

/** The text of the document. */
export function cyclonedxDocument({ system, packages, coverage }: Inventory, about: About): string {
  const hashes = new Models.HashDictionary([[Enums.HashAlgorithm["SHA-256"], about.sha256]]);
  const image = new Models.Component(Enums.ComponentType.OperatingSystem, about.name, {
    bomRef: "image", version: system.version ?? system.codename ?? "rolling", description: system.title, hashes,
    ...(coverage === undefined ? {} : { properties: new Models.PropertyRepository([new Models.Property("imgtask:coverage", sentenceOf(coverage))]) }),
  });
  const tools = new Models.Tools({ components: new Models.ComponentRepository([new Models.Component(Enums.ComponentType.Application, "imgtask", { version: about.tool })]) });
  const bom = new Models.Bom({ metadata: new Models.Metadata({ component: image, timestamp: new Date(about.epoch * 1000), tools }) });
  const components = new Map(packages.map((one) => {
    const purl = purlOf(one, system);
    const component = new Models.Component(Enums.ComponentType.Library, one.name, {
      bomRef: purl,
      version: one.version,
      purl,
      ...(one.summary === undefined ? {} : { description: one.summary }),
      properties: new Models.PropertyRepository([new Models.Property("imgtask:source", `${one.source.name} ${one.source.version}`)]),
    });
    const address = /<([A-Za-z0-9][A-Za-z0-9._%+-]*[A-Za-z0-9]@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)>/.exec(one.maintainer ?? "")?.[1], name = one.maintainer?.replace(/\s*<[^<>]+>\s*$/, "").trim();
    if (name !== undefined && name !== "") component.supplier = new Models.OrganizationalEntity({ name, ...(address === undefined ? {} : { contact: new Models.OrganizationalContactRepository([new Models.OrganizationalContact({ email: address })]) }) });
    if (one.licence !== undefined) {
      const licence = new Models.LicenseExpression(one.licence.expression);
      licence.acknowledgement = Enums.LicenseAcknowledgement.Declared;
      component.licenses.add(licence);
    }
    if (one.homepage !== undefined && /^https?:\/\/[^\s]+$/.test(one.homepage)) component.externalReferences.add(new Models.ExternalReference(one.homepage, Enums.ExternalReferenceType.Website));
    return [idOf(one), component] as const;
  }));
  for (const component of components.values()) {
    bom.components.add(component);
    image.dependencies.add(component.bomRef);
  }
  for (const one of packages) for (const need of one.needs) components.get(idOf(one))!.dependencies.add(components.get(need)!.bomRef);
  const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6));
  const text = (): string => serializer.serialize(bom, { sortLists: true, space: 1 });
  bom.serialNumber = `urn:uuid:${uuidOf(text())}`;
  return `${text()}\n`;
}
