using Lamina.Cluster.Messages;
using Lamina.Compute.Devices;

namespace Lamina.Node.Hosting;

/// <summary>Checks a node's configuration before anything is opened.</summary>
internal static class NodeOptionsValidator
{
    /// <summary>Throws <see cref="ArgumentException"/> with the key, its value and what is allowed.</summary>
    public static void Validate(NodeOptions options)
    {
        RequireName(nameof(options.Tenant), options.Tenant.Value);
        RequireName(nameof(options.Name), options.Name.Value);
        RequireText(nameof(options.CertificatePath), options.CertificatePath);
        RequireText(nameof(options.KeyPath), options.KeyPath);
        RequireText(nameof(options.TrustBundlePath), options.TrustBundlePath);
        RequireText(nameof(options.BindAddress), options.BindAddress);
        RequireText(nameof(options.CachePath), options.CachePath);
        RequirePort(nameof(options.ControlPort), options.ControlPort);
        RequirePort(nameof(options.LinkPort), options.LinkPort);
        Require(options.ControlPort == 0 || options.ControlPort != options.LinkPort, nameof(options.LinkPort), options.LinkPort, "another port than ControlPort");
        Require(options.Seeds is { Count: > 0 }, nameof(options.Seeds), "empty", "the control endpoint of at least one coordinator");
        foreach (Endpoint seed in options.Seeds)
        {
            Require(!string.IsNullOrEmpty(seed.Host) && seed.Port is > 0 and <= 65_535, nameof(options.Seeds), seed, "host:port with a port of 1 to 65535");
        }

        Require(options.Threads is >= 0 and <= 1024, nameof(options.Threads), options.Threads, "0 (all cores) to 1024");
        Require(ComputeDevice.IsName(options.Device), nameof(options.Device), $"'{options.Device}'", ComputeDevice.Names);
        Require(options.MemoryBytes >= 0, nameof(options.MemoryBytes), options.MemoryBytes, "0 (80 % of the machine's) or a number of bytes");
        Require(options.DrainSeconds is >= 0 and <= 3600, nameof(options.DrainSeconds), options.DrainSeconds, "0 (does not wait) to 3600");
        bool wildcard = options.BindAddress is "0.0.0.0" or "::" or "*";
        Require(!wildcard || options.PublicHost is not null, nameof(options.BindAddress), options.BindAddress, "an address of this machine, or any with PublicHost set");
    }

    private static void RequireName(string key, string? value) =>
        Require(Names.IsValid(value), key, value ?? "missing", "1 to 63 lower-case letters, digits and inner hyphens");

    private static void RequireText(string key, string? value) => Require(!string.IsNullOrWhiteSpace(value), key, "empty", "a value");

    private static void RequirePort(string key, int port) => Require(port is >= 0 and <= 65_535, key, port, "0 (a free one) to 65535");

    private static void Require(bool holds, string key, object value, string allowed)
    {
        if (!holds)
        {
            throw new ArgumentException($"Node:{key} is {value}, allowed is {allowed}");
        }
    }
}
