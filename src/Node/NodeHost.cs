using Microsoft.Extensions.Logging;

namespace Lamina.Node;

/// <summary>
/// A worker process of one cell: joins its Akka cluster with the role <c>node</c>, listens for links, owns stages. The returned host runs until disposed or until
/// the cell downs it.
/// </summary>
public sealed class NodeHost : IAsyncDisposable
{
    /// <summary>Validates the options (naming key, value and what is allowed), binds both ports, self-tests mutual TLS, joins. Throws with one clear sentence when it cannot.</summary>
    public static Task<NodeHost> StartAsync(NodeOptions options, ILoggerFactory loggers, CancellationToken cancellation) => throw new NotImplementedException();

    /// <summary>Completes when the node has stopped by itself (downed, fatal error), with the reason.</summary>
    public Task<string> Stopped => throw new NotImplementedException();

    public Lamina.Cluster.Messages.Endpoint ControlEndpoint => throw new NotImplementedException();
    public Lamina.Cluster.Messages.Endpoint LinkEndpoint => throw new NotImplementedException();

    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
