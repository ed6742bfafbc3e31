/**
 * The public face of the engine, for imagefiles and plugins.
 * @module
 */
export { type Checksum, formatChecksums, parseChecksums } from "./checksums.ts";
export { compareVersions } from "./compare-versions.ts";
export type { Artifact, Form, Input, OutputSpec, Producer, Source, SourceGlob } from "./artifact.ts";
export { output } from "./artifact.ts";
export { digestFile } from "./digest.ts";
export { bug, type ErrorDetails, ExitCode, ImgtaskError, isImgtaskError, type Location } from "./error.ts";
export * as fit from "./fit.ts";
export { type InstalledMachine, type Machine, machine, type MachineSpec } from "./machine.ts";
export type { LateCommand } from "./machine/command.ts";
export type { DirectoryList, MachineFile } from "./machine/file.ts";
export type { Allowed, Firewall, FirewallService, FullFirewall, OpenPorts } from "./machine/firewall.ts";
export type { FullInterface, FullNetwork, Network, NetworkInterface } from "./machine/network.ts";
export { type PackageManager, type PackageSet, packageSet, packagesFor } from "./machine/package-set.ts";
export type { PasswordPolicy } from "./machine/password-policy.ts";
export type { AptRepository, DnfRepository, FullRepository, Repository } from "./machine/repository.ts";
export type { FileSystem, FullFileSystem, FullStorage, Storage, Volume, VolumeSize } from "./machine/storage.ts";
export type { FullUser, PasswordHash, User } from "./machine/user.ts";
export type {
  AnswerFormat,
  AptArchive,
  ChecksumList,
  FileSource,
  ImageMedia,
  ImageName,
  ImageSource,
  IsoLayout,
  Keyring,
  ListSignature,
  Media,
  MediaBase,
  MirrorSource,
  NoticeSource,
  PackageMedia,
  PinnedKey,
  PortalSource,
} from "./media.ts";
export { sign as signMinisign, verifySignature as verifyMinisign } from "./minisign.ts";
export { parsePublicKey, parseSecretKey, type PublicKey, type SecretKey } from "./minisign-key.ts";
export {
  type AptDistro,
  type AptRelease,
  type Arch,
  checkKeyring,
  defineArch,
  defineDistro,
  type Distro,
  type Installer,
  type InstallerFits,
  keyringOwner,
  type Release,
} from "./plugin.ts";
export type { FilePublisher, ImageFormat, ImagePublisher, PublishContext, PublishedFile, PublishedImage, Publisher, PublishedThere } from "./publisher.ts";
export { isPin, type LockEntry, lockFileName, type Pin, type PinnedList, readLockFile } from "./lock-file.ts";
export type { NoNotices, Notice, NoticeAnswer, NoticePackage, NoticeReport, NoticeTrust, Severity } from "./notice.ts";
export { checkCall, checkNames, checkOptions, type Fits } from "./option.ts";
export { packageFile, packageVersion as version } from "./package.ts";
export { inputsOf, type Lineage, type Made, type OutputRef } from "./lineage.ts";
export { type Envelope, parseEnvelope, seal, signerOf } from "./dsse.ts";
export {
  attestationsName,
  buildType,
  checksumsName,
  type DocumentKind,
  formatManifest,
  isPublishedName,
  manifestName,
  parseManifest,
  provenanceType,
  type PublishedArtifact,
  type PublishedManifest,
  type Statement,
  statementMediaType,
  statementType,
  testResultType,
} from "./publication.ts";
export { bytesOf, type Resources, type Size } from "./resources.ts";
export type { Retries } from "./retry.ts";
export { type Secret, secret, type SecretContext, type SecretFunctions, type SecretOptions, type SecretReader, type SecretRef, type Secrets } from "./secret.ts";
export { namespaceArgv } from "./sandbox.ts";
export {
  type Amount,
  type Argv,
  type ExecOptions,
  type ExecResult,
  group,
  type Group,
  type Inputs,
  type Json,
  type Outputs,
  type Params,
  type NoticeContext,
  type PinContext,
  type Resolved,
  type RunContext,
  source,
  type Target,
  target,
  type TargetSpec,
  type Untracked,
} from "./target.ts";
export { proxyVariables } from "./url-password.ts";
export { hostFile, type HostFile, type Requirement, tool, type Tool, type ToolOptions } from "./tool.ts";
