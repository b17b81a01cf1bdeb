using MessagePack;

namespace Lamina.Cluster.Messages;

/// <summary>Whoever must not see or disturb another. Matches <c>^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$</c>, as every name below.</summary>
[MessagePackObject]
public readonly record struct TenantId([property: Key(0)] string Value)
{
    public override string ToString() => Value;
}

/// <summary>Name of a worker process, unique in its cell; part of its certificate.</summary>
[MessagePackObject]
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
[MessagePackObject]
public readonly record struct Endpoint([property: Key(0)] string Host, [property: Key(1)] int Port)
{
    public override string ToString() => Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}";
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
