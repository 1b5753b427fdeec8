package share

// secretFiles are the rules for files with secrets, by exact names and unmistakable
// endings. Names that begin with a dot are hidden anyway.
//
// Vite's server.fs.deny (8.2.2: ".env", ".env.*", "*.{crt,pem,key,p12,pfx,cer,
// der}", ".npmrc", ".yarnrc.yml", "**/.git/**") must stay a subset of it.
var secretFiles = []Rule{
	{
		What: "private keys",
		// ssh-keygen(1), sshd(8). The public halves, *.pub, are open.
		names: []string{
			"id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss",
			"id_rsa_*", "id_ecdsa_*", "id_ed25519_*", "id_rsa *", "id_ed25519 *", "id_rsa.txt", "private_key", "*_rsa", "*_ecdsa", "*_ed25519", "ssh_host_*_key", "authorized_keys", "known_hosts", "secring.gpg", "secring.pgp", "private.asc", "secret.asc", "private-key.asc", "secret-key.asc", "wallet.dat",
			"*.pem", "*.key", "*.p8", "*.pk8", "*.pkcs8", "*.ppk", "*.pvk", "*.agekey", "*.keytab",
		},
	},
	{
		What: "certificates and keystores",
		names: []string{
			"*.crt", "*.cer", "*.der", // often with the key next to it or in it
			"*.p12", "*.pfx", "*.pkcs12", "*.jks", "*.jceks", "*.bks", "*.keystore", "*.kdb", "*.kdbx", "*.ovpn", "wg0.conf",
		},
	},
	{
		What: "environment files",
		names: []string{
			"*.env", "*.env.local", "*.env.production", "*.env.development", "*.env.staging", "*.env.test", "*.env.prod", "*.env.dev", "*.env.stage", "*.env.docker",
		},
	},
	{
		What: "credentials",
		names: []string{
			"credentials.json", "credentials.yml", "credentials.yaml", "*.yml.enc", "*credentials.csv",
			"*accesskeys.csv", "rootkey.csv", "application_default_credentials.json",
			"client_secret.json", "client_secret_*.json", "client_secrets.json", // Google OAuth
			"service-account.json", "service_account.json", "serviceaccount.json", "service-account-key.json",
			"serviceaccountkey.json", "*-firebase-adminsdk-*.json", "gcp-key.json", "google-credentials.json",
			"secrets.json", "secrets.yml", "secrets.yaml", "secrets.toml", "secrets.ini", "secrets.properties", "secret.yml", "secret.yaml", "secret.toml", "secret.txt", "secrets.txt",
			"vault.yml", "vault.yaml", "vault_pass.txt", "vault_password.txt", "password.txt", "passwords.txt",
			"htpasswd", "*.htpasswd", "_netrc", "kubeconfig", "kubeconfig.yml", "kubeconfig.yaml", "*.kubeconfig", "rclone.conf", "pgpass.conf",
			"sftp-config.json", "sitemanager.xml", "recentservers.xml", "filezilla.xml",
		},
		paths: []string{"/auth.json"}, // Composer: tokens of registries
	},
	{
		What: "settings with passwords",
		names: []string{
			"database.yml", "wp-config.php", "wp-config.php*", "wp-config.txt", "configuration.php.*", "config.inc.php", "localsettings.php", "local_settings.py", "settings_local.py",
			"parameters.yml", "parameters.yaml", "web.config", "web.*.config", "tomcat-users.xml", "ormconfig.json", "*.secret.exs", "web.xml", "application.properties", "application.yml", "application.yaml",
			"application-*.properties", "application-*.yml", "application-*.yaml", "bootstrap.yml", "bootstrap.yaml",
			"keystore.properties", "gradle.properties", "signing.properties", "local.properties",
			"docker-compose.yml", "docker-compose.yaml", "docker-compose.*.yml", "docker-compose.*.yaml",
			"compose.yml", "compose.yaml", "compose.*.yml", "compose.*.yaml",
		},
		// The Servlet specification (10.5) and ASP.NET serve none of these.
		paths: []string{"**/web-inf", "**/meta-inf", "**/app_data"},
	},
	{
		What: "databases and dumps",
		names: []string{
			"*.db", "*.db3", "*.sqlite", "*.sqlite2", "*.sqlite3", "*.s3db", "*.duckdb", "*.mdb", "*.accdb", "*.mdf", "*.ldf", "*.fdb", "*.ibd", "*.rdb",
			"*.db-wal", "*.db-shm", "*.db-journal", "*.sqlite-wal", "*.sqlite-shm", "*.sqlite-journal",
			"*.sqlite3-wal", "*.sqlite3-shm", "*.sqlite3-journal",
			"*.sql", "*.sql.gz", "*.sql.bz2", "*.sql.xz", "*.sql.zst", "*.sql.zip", "*.sql.7z", "*.sql.lz4", "*.sql.lzma", "*.sql.rar", "*.sql.tar", "*.sql.tar.gz", "*.sql.tgz", "*.sql.gpg",
			"*.db.gz", "*.db.zip", "*.sqlite.gz", "*.sqlite.zip", "*.sqlite3.gz", "*.sqlite3.zip", "*.aof", "*.psql", "*.pgsql", "*.bson",
			"*.dump", "*.dump.gz", "*.dump.bz2", "*.dump.xz", "*.dump.zst", "*.pgdump", "*.dmp", "*.mdmp",
			"*.hprof", "*.heapsnapshot", "*.heapprofile",
		},
	},
	{
		What:  "state and variables of Terraform",
		names: []string{"*.tfstate", "*.tfstate.backup", "*.tfstate.*.backup", "*.tfvars", "*.tfvars.json", "*.tfplan"},
	},
	{
		What: "backups and editors' copies",
		names: []string{
			"*.bak", "*.bak2", "*.backup", "*.bkp", "*.bck", "*.bk", "*.old", "*.orig", "*.*.save", // nano's; "settings.save" is a method
			"*.swp", "*.swo", "*.swn", "*.kate-swp",
			"*~", "#*#*", ".#*", "*___jb_tmp___", "*___jb_old___",
			"backup.zip", "backup.tar", "backup.tar.gz", "backup.tgz", "backup.tar.bz2", "backup.tar.xz", "backup.rar", "backup.7z", "dump.zip", "dump.tar.gz", "dump.tgz",
		},
	},
	{
		What: "logs",
		names: []string{
			"npm-debug.log", "npm-debug.log.*", "yarn-debug.log", "yarn-error.log", "pnpm-debug.log", "lerna-debug.log",
			"firebase-debug.log", "development.log", "production.log", "laravel.log", "laravel-*.log", "error.log", "access.log", "debug.log", "php_errors.log", "error_log", "nohup.out",
		},
	},
	{
		What:  "files of version control",
		paths: []string{"**/cvs/entries", "**/cvs/root", "**/cvs/repository", "**/_darcs", "**/_svn"},
	},
	{What: "the Proxyfile", names: []string{"proxyfile", "proxyfile.*"}},
	{
		What: "what frameworks build for their servers",
		// next 16: preview and server action keys are in prerender-manifest.json and
		// server-reference-manifest.json, private variables in the code for the server.
		// SvelteKit and Nitro inline private variables too. Browsers need none of these
		// files.
		paths: []string{
			"**/.next/server", "**/.next/cache", "**/.next/standalone", "**/.next/dev/server", "**/.next/dev/cache",
			"**/.next/prerender-manifest.json", "**/.next/dev/prerender-manifest.json",
			"**/.next/required-server-files.json", "**/.next/trace", "**/.next/dev/trace", "**/.next/dev/logs",
			"**/.nuxt/dev", "**/.nuxt/dist/server", "**/.svelte-kit/output/server", "**/.react-router/build/server",
		},
	},
	{
		What: "secret files, requested through an image endpoint",
		// astro 7.3.5, dist/assets/endpoint/dev.js: /_image?href=/@fs/…. Next,
		// Nuxt Image and Vercel take the file in "url" too.
		paths:  []string{"**/_image", "**/_next/image", "**/_vercel/image", "**/_ipx", "**/.netlify/images", "**/@vite/lazy"},
		fileIn: []string{"href", "url", "src", "f", "id"},
	},
}
