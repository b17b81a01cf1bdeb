using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Quotas;

/// <summary>A key's share of its cell's pipelines: the same lane from every coordinator, and a name that says nothing about the key.</summary>
/// <param name="OwnPrefixes">Whether prompts that were computed are found again by this lane alone.</param>
internal readonly record struct LaneShare(ulong Lane, int Weight, int Priority, bool OwnPrefixes)
{
    public static LaneShare Nobody { get; } = new(0, 1, 0, false);

    /// <summary>What runs in the background stays behind all else, whatever the keys' priorities.</summary>
    /// <param name="ofRequest">Below 0 for what runs in the background.</param>
    public int PriorityOf(int ofRequest) => ofRequest < 0 ? Priority - 1000 : Priority;

    /// <param name="key">Empty for the local user of a loopback address.</param>
    public static LaneShare Of(TenantId tenant, string key, TenantQuotas quotas)
    {
        QuotaRules rules = quotas.Of(key.Length == 0 ? null : key);
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{tenant.Value}/{key}"));
        return new LaneShare(BinaryPrimitives.ReadUInt64LittleEndian(hash), rules.Weight ?? 1, rules.Priority ?? 0, !(rules.SharePrefixes ?? quotas.Tenant.SharePrefixes ?? true));
    }
}
