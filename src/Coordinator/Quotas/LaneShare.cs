using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Quotas;

/// <summary>A key's share of its cell's pipelines: the same lane from every coordinator, and a name that says nothing about the key.</summary>
internal readonly record struct LaneShare(ulong Lane, int Weight, int Priority)
{
    public static LaneShare Nobody { get; } = new(0, 1, 0);

    /// <summary>What runs in the background stays behind all else, whatever the keys' priorities.</summary>
    /// <param name="ofRequest">Below 0 for what runs in the background.</param>
    public int PriorityOf(int ofRequest) => ofRequest < 0 ? Priority - 1000 : Priority;

    public static LaneShare Of(TenantId tenant, string key, QuotaRules rules)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{tenant.Value}/{key}"));
        return new LaneShare(BinaryPrimitives.ReadUInt64LittleEndian(hash), rules.Weight ?? 1, rules.Priority ?? 0);
    }
}
