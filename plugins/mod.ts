/**
 * The package `imgtask`: the public face of the engine, and the kinds of targets that every imagefile uses.
 * @module
 */
export * from "../lib/mod.ts";
export { ansible, type AnsibleOptions, type Played } from "./ansible/ansible.ts";
export { customize, type Customized, type CustomizeOptions } from "./customize/customize.ts";
export { dirs, type DirectoryListOptions, type Dirs, type DirsFunction, type DirsOptions } from "./dirs/dirs.ts";
export { convert, type Converted, type ConvertOptions } from "./disk/convert.ts";
export type { DiskImage } from "./disk/given.ts";
export { disk, type Disk, type DiskOptions } from "./disk/disk.ts";
export { resize, type Resized, type ResizeOptions } from "./disk/resize.ts";
export { sysprep, type SysprepOptions, type Sysprepped } from "./disk/sysprep.ts";
export type { SysprepOperation } from "./disk/sysprep-operations.ts";
export type { BasicCredentials, BearerCredentials, Credentials, HeaderCredentials } from "./download/credentials.ts";
export { download, type Download, type DownloadOptions } from "./download/download.ts";
export type { DownloadLimits } from "./download/limits.ts";
export { packageSets } from "./machine/package-sets.ts";
export { iso, type Iso, type IsoOptions } from "./iso/iso.ts";
export { keypair, type Keypair, type KeypairOptions } from "./keypair/keypair.ts";
export { directory } from "./publish/directory.ts";
export { publish, type Published, type PublishOptions } from "./publish/publish.ts";
export { minisign, type MinisignOptions, type Signer } from "./publish/sign.ts";
export { rootfs, type Rootfs, type RootfsOptions } from "./rootfs/rootfs.ts";
export { sbom, type Sbom, type SbomOptions } from "./sbom/sbom.ts";
export { seed, type Seed, type SeedOptions } from "./seed/seed.ts";
export { test, type Test, type TestOptions } from "./test/test.ts";
export { verify, type Verified, type VerifyOptions } from "./verify/verify.ts";
