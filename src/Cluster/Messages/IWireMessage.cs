namespace Lamina.Cluster.Messages;

/// <summary>Marks what may cross between processes through Akka. Every message carries its tenant, and its receiver checks it.</summary>
public interface IWireMessage
{
    TenantId Tenant { get; }
}
