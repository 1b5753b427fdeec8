// Prints whether Java trusts the server's certificate, and the addresses of each name.
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

class Ask {
    public static void main(String[] args) {
        System.out.println("home " + System.getProperty("java.home"));
        int port = Integer.parseInt(args[0]);
        SSLSocketFactory factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
        try (SSLSocket socket = (SSLSocket) factory.createSocket(new Socket("127.0.0.1", port), "localhost", port, true)) {
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.startHandshake();
            System.out.println("trust yes");
        } catch (SSLException e) {
            System.out.println("trust no");
        } catch (IOException e) {
            System.out.println("trust unknown");
        }
        for (int i = 1; i < args.length; i++) {
            StringBuilder line = new StringBuilder("name " + args[i]);
            try {
                for (InetAddress found : InetAddress.getAllByName(args[i])) line.append(' ').append(found.getHostAddress());
            } catch (IOException e) {
                // no addresses
            }
            System.out.println(line);
        }
    }
}
