/**
 * The descriptor of a virtual machine in an OVA: OVF 1.1 (DMTF DSP0243), as VMware, VirtualBox, Proxmox and virt-v2v read
 * it. Pure: data in, text out; the text is written from a tree of elements, which escapes whatever it is given.
 * @module
 */

/** An element: name with prefix, attributes, and text or children. */
interface Element {
  readonly name: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly children?: readonly Element[] | string;
}

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;" };
const escape = (text: string): string => text.replace(/[&<>"\t\n\r]/g, (character) => escapes[character]!);

function write({ name, attributes = {}, children = [] }: Element, indent = ""): string {
  const head = `${indent}<${name}${Object.entries(attributes).map(([key, value]) => ` ${key}="${escape(value)}"`).join("")}`;
  if (children.length === 0) return `${head}/>\n`;
  if (typeof children === "string") return `${head}>${escape(children)}</${name}>\n`;
  return `${head}>\n${children.map((child) => write(child, `${indent}  `)).join("")}${indent}</${name}>\n`;
}

/** A virtual machine with one disk and one network card. */
export interface VirtualMachine {
  readonly name: string;
  readonly cpus: number;
  /** MiB. */
  readonly memory: number;
  readonly firmware: "bios" | "efi";
  /** Disk and network: PVSCSI and VMXNET3, or LSI Logic and E1000. */
  readonly devices: "vmware" | "generic";
  readonly disk: {
    readonly file: string;
    /** Bytes of the file, and of the disk that the machine sees. */
    readonly size: number;
    readonly capacity: number;
  };
}

// CIM_OperatingSystem.OsType: 101 is "Linux 64-Bit".
const linux64 = "101";
const streamOptimized = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized";

/** Order and names of an item's parts are those of CIM_ResourceAllocationSettingData: the schema wants them sorted. */
function item(parts: Readonly<Record<string, string>>): Element {
  return { name: "Item", children: Object.keys(parts).sort().map((key) => ({ name: `rasd:${key}`, children: parts[key]! })) };
}

/** The text of the descriptor. */
export function ovf(machine: VirtualMachine): string {
  const { name, cpus, memory, firmware, devices, disk } = machine;
  const hardware: readonly Element[] = [
    { name: "Info", children: "Virtual hardware" },
    { name: "System", children: [{ name: "vssd:ElementName", children: "Virtual Hardware Family" }, { name: "vssd:InstanceID", children: "0" }, { name: "vssd:VirtualSystemIdentifier", children: name }, { name: "vssd:VirtualSystemType", children: "vmx-13" }] },
    // DMTF's types of resources: 3 processor, 4 memory, 6 parallel SCSI, 10 Ethernet, 17 disk.
    item({ AllocationUnits: "hertz * 10^6", Description: "Number of virtual CPUs", ElementName: `${cpus} virtual CPUs`, InstanceID: "1", ResourceType: "3", VirtualQuantity: String(cpus) }),
    item({ AllocationUnits: "byte * 2^20", Description: "Memory", ElementName: `${memory} MiB of memory`, InstanceID: "2", ResourceType: "4", VirtualQuantity: String(memory) }),
    item({ Address: "0", ElementName: "SCSI controller", InstanceID: "3", ResourceSubType: devices === "vmware" ? "VirtualSCSI" : "lsilogic", ResourceType: "6" }),
    item({ AddressOnParent: "0", ElementName: "Disk", HostResource: "ovf:/disk/disk1", InstanceID: "4", Parent: "3", ResourceType: "17" }),
    item({ AutomaticAllocation: "true", Connection: "network", ElementName: "Network card", InstanceID: "5", ResourceSubType: devices === "vmware" ? "VmxNet3" : "E1000", ResourceType: "10" }),
    ...(firmware === "efi" ? [{ name: "vmw:Config", attributes: { "ovf:required": "false", "vmw:key": "firmware", "vmw:value": "efi" } }] : []),
  ];
  const envelope: Element = {
    name: "Envelope",
    attributes: {
      xmlns: "http://schemas.dmtf.org/ovf/envelope/1",
      "xmlns:ovf": "http://schemas.dmtf.org/ovf/envelope/1",
      "xmlns:rasd": "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData",
      "xmlns:vssd": "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData",
      "xmlns:vmw": "http://www.vmware.com/schema/ovf",
    },
    children: [
      { name: "References", children: [{ name: "File", attributes: { "ovf:href": disk.file, "ovf:id": "file1", "ovf:size": String(disk.size) } }] },
      { name: "DiskSection", children: [{ name: "Info", children: "Virtual disks" }, { name: "Disk", attributes: { "ovf:capacity": String(disk.capacity), "ovf:diskId": "disk1", "ovf:fileRef": "file1", "ovf:format": streamOptimized } }] },
      { name: "NetworkSection", children: [{ name: "Info", children: "Logical networks" }, { name: "Network", attributes: { "ovf:name": "network" }, children: [{ name: "Description", children: "The network of the machine" }] }] },
      {
        name: "VirtualSystem",
        attributes: { "ovf:id": name },
        children: [
          { name: "Info", children: "A virtual machine" },
          { name: "Name", children: name },
          { name: "OperatingSystemSection", attributes: { "ovf:id": linux64 }, children: [{ name: "Info", children: "Operating system" }, { name: "Description", children: "Linux (64 bit)" }] },
          { name: "VirtualHardwareSection", children: hardware },
        ],
      },
    ],
  };
  return `<?xml version="1.0" encoding="UTF-8"?>\n${write(envelope)}`;
}
