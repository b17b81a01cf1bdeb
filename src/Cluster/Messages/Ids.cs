using System.ComponentModel;
using System.Globalization;
using MessagePack;

namespace Lamina.Cluster.Messages;

/// <summary>Whoever must not see or disturb another. Matches <c>^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$</c>, as every name below.</summary>
[MessagePackObject, TypeConverter(typeof(TenantIdConverter))]
public readonly record struct TenantId([property: Key(0)] string Value)
{
    public override string ToString() => Value;
}

/// <summary>Name of a worker process, unique in its cell; part of its certificate.</summary>
[MessagePackObject, TypeConverter(typeof(NodeNameConverter))]
public readonly record struct NodeName([property: Key(0)] string Value)
{
    public override string ToString() => Value;
}

/// <summary>A model served in a cell, by the name its callers use.</summary>
[MessagePackObject]
public readonly record struct DeploymentId([property: Key(0)] string Value)
{
    public override string ToString() => Value;
}

/// <summary>128 random bits naming one request's token stream.</summary>
[MessagePackObject]
public readonly record struct GenerationId([property: Key(0)] ulong High, [property: Key(1)] ulong Low)
{
    public override string ToString() => $"{High:x16}{Low:x16}";
}

/// <summary>Host name or address and TCP port.</summary>
[MessagePackObject, TypeConverter(typeof(EndpointConverter))]
public readonly record struct Endpoint([property: Key(0)] string Host, [property: Key(1)] int Port)
{
    public override string ToString() => Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}";

    /// <summary>Reads <c>host:port</c> or <c>[address]:port</c>; throws <see cref="FormatException"/> with what was found and expected.</summary>
    public static Endpoint Parse(string text)
    {
        int colon = text.LastIndexOf(':');
        if (colon > 0 && int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port <= 65535)
        {
            string host = text[..colon];
            return new Endpoint(host.StartsWith('[') && host.EndsWith(']') ? host[1..^1] : host, port);
        }

        throw new FormatException($"'{text}' is not an endpoint; expected host:port");
    }
}

/// <summary>Which stage of which copy of which plan. The epoch fences: whatever carries an older one is refused.</summary>
[MessagePackObject]
public readonly record struct StageAddress(
    [property: Key(0)] DeploymentId Deployment,
    [property: Key(1)] int Epoch,
    [property: Key(2)] int Pipeline,
    [property: Key(3)] int Stage)
{
    public override string ToString() => $"{Deployment}/{Epoch}/{Pipeline}/{Stage}";
}
